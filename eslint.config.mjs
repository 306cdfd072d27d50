import js from '@eslint/js';
import globals from 'globals';

export default [
  { ignores: ['**/target/', 'native/', 'bundle/', '.cache/', 'coverage/', 'bench/results/', 'manager/web/vendor/'] },
  js.configs.recommended,
  {
    languageOptions: { ecmaVersion: 2023, sourceType: 'commonjs', globals: globals.node },
    linterOptions: { reportUnusedDisableDirectives: 'error' },
    rules: {
      curly: ['error', 'multi-line'],
      eqeqeq: ['error', 'always', { null: 'ignore' }],
      'no-promise-executor-return': 'error',
      'no-shadow': 'error',
      'no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_', caughtErrors: 'none' }],
      'no-var': 'error',
      'object-shorthand': 'error',
      'prefer-const': 'error',
      strict: ['error', 'global'],
    },
  },
  {
    // Node's private members have one door. `cluster._getServer` is the hook that `net` and `dgram` call.
    files: ['lib/**/*.js'],
    ignores: ['lib/node/**'],
    rules: {
      'no-restricted-syntax': [
        'error',
        ...[
          "MemberExpression[computed=false][property.name=/^_(?!getServer$)/][object.type!='Super']",
          'ObjectPattern > Property[key.name=/^_/]',
          'CallExpression[callee.name="require"] > Literal[value=/^_/]',
          'MemberExpression[property.name="getOwnPropertySymbols"]',
        ].map((selector) => ({ selector, message: 'private members of Node are for lib/node/ alone' })),
      ],
    },
  },
  {
    files: ['**/*.mjs'],
    languageOptions: { sourceType: 'module', globals: globals.nodeBuiltin },
  },
  {
    // It begins with lines for a shell.
    files: ['bin/rcluster.js'],
    rules: { strict: 'off' },
  },
  {
    files: ['manager/web/*.js'],
    languageOptions: { sourceType: 'module', globals: globals.browser },
  },
  {
    // What is sent to a page runs there.
    files: ['__test__/manager/web_browser.test.js'],
    languageOptions: { globals: globals.browser },
  },
  {
    files: ['__test__/**/*.js'],
    ignores: ['__test__/node-suite/**'],
    languageOptions: { globals: globals.jest },
    // Functions that are sent to other processes bring their own names.
    rules: { 'no-shadow': 'off' },
  },
];
