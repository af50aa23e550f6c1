import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'

/** Why a test is skipped that has no disk of its own. */
export const NO_MOUNT = 'a tmpfs can be mounted only by root on Linux'

/**
 * A file system of its own, which ends with the test; `undefined` where this process may not mount one.
 * @param options of mount, such as `size=6144k` or `ro`.
 */
export function mountDisk(options: string): string | undefined {
  const folder = mkdtempSync(join(tmpdir(), 'tripwire-disk-'))
  const { status } = spawnSync('mount', ['-t', 'tmpfs', '-o', options, 'tripwire-test', folder])
  onTestFinished(() => {
    if (status === 0) spawnSync('umount', ['-l', folder])
    rmSync(folder, { recursive: true, force: true })
  })
  return status === 0 ? folder : undefined
}
