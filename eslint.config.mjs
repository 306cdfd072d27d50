import js from '@eslint/js';
import globals from 'globals';

export default [
  { ignores: ['**/target/', 'native/', 'bundle/', '.cache/', 'coverage/', 'bench/results/'] },
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
    files: ['**/*.mjs'],
    languageOptions: { sourceType: 'module', globals: globals.nodeBuiltin },
  },
  {
    files: ['__test__/**/*.js'],
    ignores: ['__test__/node-suite/**'],
    languageOptions: { globals: globals.jest },
    // Functions that are sent to other processes bring their own names.
    rules: { 'no-shadow': 'off' },
  },
];
