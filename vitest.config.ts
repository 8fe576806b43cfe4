import { defineConfig } from 'vitest/config';

// A store of certificates that is set for npm costs each Node that a test starts 0.1 s.
delete process.env['NODE_EXTRA_CA_CERTS'];

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    // Most of the time they wait for processes: one worker a core would leave the cores idle.
    maxWorkers: 3,
  },
});
