#!/bin/sh
':' /*
# To a shell this is a program, to Node a comment. Starting Node takes longer than all that `list` does: where it is asked for without options,
# and a daemon of ours runs, the manager's executable prints the list. Whatever that does not do well, Node does, as everything else.
case "$#:$1" in
  1:list | 1:ls | 1:l | 1:ps | 1:status)
    home="${RCLUSTER_HOME:-${HOME:+$HOME/.rcluster}}"
    if [ -S "$home/daemon.sock" ]; then
      file=$(readlink -f "$0")
      case $(uname -m) in
        x86_64) arch=x64 ;;
        aarch64) arch=arm64 ;;
      esac
      for executable in "${file%/bin/*}/native/rclusterd.linux-$arch"-*; do
        "$executable" list --home "$home" 2>/dev/null && exit
      done
    fi
    ;;
esac
exec node "$0" "$@"
*/
'use strict';

// The command. With a verb it asks the process manager; without one it runs a script itself.

const { verbIn } = require('../manager/cli/verbs.js');

const verb = verbIn(process.argv.slice(2));
if (verb) void require('../lib/bundle.js').requireOfCommand('cli/main.js').run(verb);
else require('./foreground.js');
