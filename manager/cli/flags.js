'use strict';

// The options of the verbs that start something: PM2's.

/** Options that say of an app what a key of a configuration file says, and the key. @type {Record<string, [spec: string, about: string]>} */
const KEY_FLAGS = {
  name: ['-n, --name <name>', 'what it is called; the name of the script without its extension by default'],
  namespace: ['--namespace <name>', 'a group of apps'],
  instances: ['-i, --instances <count>', 'so many workers of a Node server: a cluster; so many processes of another program; max for one per available core'],
  exec_mode: ['--exec-mode <mode>', 'fork or cluster'],
  interpreter: ['--interpreter <program>', 'what runs the script; none for the script itself'],
  interpreter_args: ['--interpreter-args <args>', 'options of the interpreter'],
  node_args: ['--node-args <args>', 'the same'],
  args: ['--args <args>', 'arguments of the script; those behind -- as well'],
  cwd: ['--cwd <folder>', 'the folder that it runs in'],
  out_file: ['-o, --output <file>', 'where its output goes'],
  error_file: ['-e, --error <file>', 'where its errors go'],
  log_file: ['-l, --log [file]', 'where both go'],
  log_type: ['--log-type <type>', 'json for an object per line'],
  log_date_format: ['--log-date-format <format>', 'each line behind its time, written like this'],
  disable_logs: ['--disable-logs', 'nothing that it writes is kept'],
  time: ['--time', 'each line behind its time'],
  merge_logs: ['--merge-logs', 'instances share the log files'],
  autostart: ['--no-autostart', 'it is listed and not started'],
  autorestart: ['--no-autorestart', 'it is not started again when it ends'],
  max_restarts: ['--max-restarts <count>', 'it is given up after so many ends that came too soon'],
  min_uptime: ['--min-uptime <time>', 'what ends sooner has ended too soon'],
  restart_delay: ['--restart-delay <time>', 'the pause before each restart'],
  exp_backoff_restart_delay: ['--exp-backoff-restart-delay <time>', 'the pause before the first restart, growing with each'],
  stop_exit_codes: ['--stop-exit-codes <codes...>', 'exit codes after which it is not started again'],
  kill_signal: ['--kill-signal <signal>', 'how it is asked to end'],
  kill_timeout: ['-k, --kill-timeout <time>', 'it is killed when it has not ended so long after it was asked to'],
  treekill: ['--no-treekill', 'what it has started does not end with it'],
  shutdown_with_message: ['--shutdown-with-message', "it is asked to end by the message 'shutdown'"],
  wait_ready: ['--wait-ready', "it says process.send('ready') when it is ready"],
  listen_timeout: ['--listen-timeout <time>', 'how long it may take to be ready'],
  ready: ['--ready <when>', 'a worker of a cluster is ready when it is listening, sends the message ready, or is online'],
  health: ['--health <place>', 'where a cluster answers /live and /ready: a port, host:port or the path of a Unix socket'],
  min_ready: ['--min-ready <count>', 'with fewer ready workers /ready says no'],
  hang_timeout: ['--hang-timeout <time>', 'a worker of a cluster whose event loop does not turn for so long is replaced; 0 for never'],
  keep_alive_timeout: ['--keep-alive-timeout <time>', 'HTTP connections of a cluster may stay idle for so long, where the script says nothing of it'],
  proxy_protocol: ['--proxy-protocol <senders>', 'proxies that say by the PROXY protocol whom a connection of a cluster is from, such as 10.0.0.0/8,::1'],
  app_metrics: ['--app-metrics', "what a cluster's own prom-client counts is at /metrics"],
  seat_listen: ['--seat-listen <place>', "an address for each worker of a cluster alone, such as 3001+ or './app.{seat}.sock'"],
  stop_delay: ['--stop-delay <time>', 'a cluster that is told to stop serves on for so long'],
  cron_restart: ['--cron-restart <pattern>', "it starts anew when that is due, such as '0 3 * * *'"],
  cron_timezone: ['--cron-timezone <zone>', 'the time zone of that, such as Europe/Berlin'],
  watch: ['--watch [paths...]', 'it starts anew when a file changes: of its folder, or of these paths'],
  ignore_watch: ['--ignore-watch <paths...>', 'paths and patterns whose changes do not count'],
  watch_delay: ['--watch-delay <time>', 'it starts anew when nothing has changed for so long: seconds, or such as 500ms; 200ms by default'],
  on_event: ['--on-event <command>', 'what is run when it has crashed, hangs, and so on: it reads the event as JSON'],
  max_memory_restart: ['--max-memory-restart <bytes>', 'it is started anew above it, such as 300M'],
  filter_env: ['--filter-env <names...>', 'variables that it does not get: beginnings of their names'],
  source_map_support: ['--source-map-support', 'Node shows where errors are in the sources'],
  uid: ['--uid <user>', 'whom it runs as'],
  user: ['-u, --user <user>', 'the same'],
  gid: ['--gid <group>', 'the group that it runs as'],
};

/** @type {import('./words.js').Flag} */
const NO_WATCH_FLAG = ['--no-watch', 'files are not watched any more'];

/** PM2's other name of --cron-restart. @type {import('./words.js').Flag} */
const CRON_FLAG = ['-c, --cron <pattern>', 'the same as --cron-restart'];

/** @type {import('./words.js').Flag[]} */
const CONFIG_FLAGS = [
  ['--env <name>', 'of a configuration file: env_<name> as well'],
  ['--only <names>', 'of a configuration file: these apps alone, parted by commas'],
];

/** @type {import('./words.js').Flag[]} */
const ENV_FLAGS = [['-a, --update-env', 'it gets the environment of this command']];

/** PM2's that are accepted and do nothing. @type {import('./words.js').Flag[]} */
const NOTHING_FLAGS = [
  '-x, --execute-command', '-p, --pid <file>', '-w, --write', '--no-vizion', '--no-pmx', '--no-automation', '--trace', '--disable-trace', '--v8', '--event-loop-inspector',
  '--deep-monitoring', '--disable-source-map-support', '--parallel <number>', '--sort <field>', '--wait-ip', '--hp <path>', '--service-name <name>',
  '--fresh', '--daemon', '--dist', '--dockerdaemon',
].map((spec) => [spec, "PM2's: does nothing here"]);

/** PM2's that are not there, and what to use instead. @type {Record<string, [spec: string, about: string]>} */
const MISSING_FLAGS = {
  ext: ['--ext <extensions>', "not there: --watch '**/*.js' watches files of one kind"],
  container: ['--container', 'not there: rcluster run is the first process of a container'],
};

/** @type {import('./words.js').Flag[]} */
const START_FLAGS = [
  ...Object.values(KEY_FLAGS), CRON_FLAG, NO_WATCH_FLAG, ...CONFIG_FLAGS, ...ENV_FLAGS,
  ['-f, --force', 'what runs already starts anew'],
  ['--attach', 'follows its output afterwards'],
  ['--no-daemon', 'stays in the foreground: rcluster run'],
  ['--json', 'the result as JSON'],
  ...Object.values(MISSING_FLAGS), ...NOTHING_FLAGS,
];

/** Of those, the ones that a process in the foreground has a use for. @type {import('./words.js').Flag[]} */
const RUN_FLAGS = [
  ...START_FLAGS.filter(([spec]) => !/^--(?:json|attach|no-daemon)$/.test(spec)),
  ['--log-format <look>', 'raw lines, prefixed by the instance and the app (the default where there are several), or json for an object per line'],
  ['--json', 'the same as --log-format json'],
  ['--raw', 'the same as --log-format raw'],
];

module.exports = { CONFIG_FLAGS, ENV_FLAGS, KEY_FLAGS, MISSING_FLAGS, NOTHING_FLAGS, RUN_FLAGS, START_FLAGS };
