'use strict';

const { write } = require('../say.js');
const { NAMES, VERBS } = require('../verbs.js');
const { COMMON, parse, usage } = require('../words.js');

/** The shell asks the command itself, so that there is one script for all versions. */
const SCRIPTS = Object.freeze({
  bash: `# rcluster completion bash >> ~/.bashrc
_rcluster() {
  local IFS=$'\\n' word="\${COMP_WORDS[COMP_CWORD]}"
  COMPREPLY=($(compgen -W "$(rcluster completion --words -- "\${COMP_WORDS[@]:1:COMP_CWORD-1}" 2>/dev/null)" -- "$word"))
}
complete -o default -F _rcluster rcluster
`,
  zsh: `#compdef rcluster
# rcluster completion zsh >> ~/.zshrc
_rcluster() {
  local -a all
  all=("\${(@f)$(rcluster completion --words -- "\${words[@]:1:CURRENT-2}" 2>/dev/null)}")
  compadd -a all
  _files
}
compdef _rcluster rcluster
`,
});

/** Verbs behind which no app is meant. */
const NO_TARGETS = Object.freeze(['list', 'jlist', 'prettylist', 'save', 'cleardump', 'resurrect', 'startup', 'unstartup', 'update', 'kill', 'ping', 'init', 'completion', 'help', 'apply', 'run', 'monit', 'web']);

/** @type {import('../main.js').Verb} */
module.exports = {
  summary: 'Prints what a shell needs to complete verbs, options and names.',
  usage: '<bash | zsh>',
  flags: [['--words', 'what may come next, a line each: for the shell']],
  needsDaemon: false,
  async run(manager, [shell], options, before = []) {
    if (options.words) return void write((await next(manager, before)).map((word) => `${word}\n`).join(''));
    if (!Object.hasOwn(SCRIPTS, shell ?? '')) throw usage('completion: for which shell? Give bash or zsh');
    write(SCRIPTS[/** @type {keyof SCRIPTS} */ (shell)]);
    return undefined;
  },
};

/**
 * @param {import('../../client.js').Manager} manager
 * @param {string[]} before The words so far.
 */
async function next(manager, [verb]) {
  if (verb === undefined) return Object.values(NAMES).flat();
  if (!Object.hasOwn(VERBS, verb)) return [];
  const { flags = [] } = /** @type {import('../main.js').Verb} */ (require(`./${VERBS[verb]}.js`));
  const options = [...flags, ...COMMON].map((flag) => parse(flag).long);
  if (NO_TARGETS.includes(VERBS[verb])) return options;
  // No daemon is started for a key that was pressed.
  const apps = (await manager.isRunning()) ? await manager.list() : [];
  return ['all', ...new Set(apps.flatMap(({ name, namespace }) => [name, namespace])), ...options];
}
