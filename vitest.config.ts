import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: ['test/support/global-setup.ts'],
    testTimeout: 30_000,
    hookTimeout: 120_000,
    // Many tests wait for locks and timeouts; one worker less than there are cores would leave both idle on a small machine.
    maxWorkers: 2,
  },
})
