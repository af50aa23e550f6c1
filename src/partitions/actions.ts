import { TripwireStorageError } from '../errors.ts'
import type { MaintenanceFailure } from '../model/partition.ts'
import type { MaintenanceLock } from './maintenance-lock.ts'

/**
 * Runs the actions of the maintenance one after the other and keeps what failed: one failing action does not stop the others.
 * Only three things do: the signal, the loss of the lock, and a defect.
 */
export class Actions {
  readonly failures: MaintenanceFailure[] = []
  readonly #lock: MaintenanceLock | undefined
  readonly #signal: AbortSignal

  /** @param lock without which nothing more is done, for actions that must not meet those of another maintainer. */
  constructor(lock: MaintenanceLock | undefined, signal: AbortSignal) {
    this.#lock = lock
    this.#signal = signal
  }

  /** @returns whether it was done. */
  async run(
    action: MaintenanceFailure['action'],
    partition: string | null,
    work: (signal: AbortSignal) => Promise<void>,
  ): Promise<boolean> {
    this.#signal.throwIfAborted()
    await this.#lock?.requireHeld()
    try {
      await work(this.#signal)
      return true
    } catch (error) {
      this.#signal.throwIfAborted()
      if (!(error instanceof TripwireStorageError)) throw error
      this.failures.push({ action, partition, error })
      return false
    }
  }
}
