import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    // Most of the time they wait for processes: one worker a core would leave the cores idle.
    maxWorkers: 3,
  },
});
