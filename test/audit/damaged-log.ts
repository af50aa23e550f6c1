/** Three chains under a checkpoint, what an owner of the database can do to them, and the way back. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll } from 'vitest'
import { type AuditVerification, generateAuditKey, type Store } from '../../src/index.ts'
import { openStore } from '../store/fixtures.ts'
import type { TestDatabase } from '../support/test-database.ts'
import { append, newChain, tamper } from './signed-chains.ts'

/** A and C hold entries of ours, B those of a caller with hashes of its own scheme. Y has no entry. */
export type HostName = 'A' | 'B' | 'C' | 'Y'

/** The last entry that the checkpoint knows. */
export const SIGNED = 9
/** The last entry. */
export const LAST = 11

export class DamagedLog {
  readonly #database: TestDatabase
  readonly #key = generateAuditKey('example.com/audit')
  readonly hosts: Record<HostName, string> = { A: '', B: '', C: '', Y: '' }
  #folder = ''
  #store: Store | undefined

  constructor(database: TestDatabase) {
    this.#database = database
    beforeAll(() => this.#prepare())
    afterAll(async () => {
      await this.#store?.close()
      await rm(this.#folder, { recursive: true, force: true })
    })
  }

  async #prepare(): Promise<void> {
    const database = this.#database
    this.#folder = await mkdtemp(join(tmpdir(), 'tripwire-verify-'))
    this.#store = await openStore(database)
    // Findings come in the order of the hosts, and names should, too.
    const ids = (await Promise.all(['A', 'B', 'C', 'Y'].map(() => newChain(database)))).sort()
    const [A = '', B = '', C = '', Y = ''] = ids
    Object.assign(this.hosts, { A, B, C, Y })
    await append(database, A, SIGNED)
    await append(database, B, SIGNED, 'given')
    await append(database, C, SIGNED)
    await this.store.createAuditCheckpoint({ key: this.#key.privateKey, out: this.#checkpoint })
    await append(database, A, LAST - SIGNED)
    await append(database, B, LAST - SIGNED, 'given')
    await append(database, C, LAST - SIGNED)
    await database.sql('CREATE TABLE saved_entries AS TABLE audit_entries')
  }

  get store(): Store {
    if (!this.#store) throw new Error('the store is opened before the tests')
    return this.#store
  }

  get #checkpoint(): string {
    return join(this.#folder, 'now.checkpoint')
  }

  verify(held: 'with the checkpoint' | 'alone'): Promise<AuditVerification> {
    return this.store.verifyAuditChain(
      held === 'alone' ? {} : { checkpoint: this.#checkpoint, key: this.#key.publicKey },
    )
  }

  /** Damages the log without its triggers, and without the keys that an owner can drop as well. */
  async damage(sql: string): Promise<void> {
    await tamper(
      this.#database,
      `ALTER TABLE audit_entries
         DROP CONSTRAINT audit_host_sequence_unique,
         DROP CONSTRAINT audit_entries_pkey;
       ${sql}`,
    )
  }

  /** Brings everything back as it was. */
  async mend(): Promise<void> {
    await tamper(
      this.#database,
      `TRUNCATE audit_entries;
       ALTER TABLE audit_entries
         DROP CONSTRAINT IF EXISTS audit_host_sequence_unique,
         DROP CONSTRAINT IF EXISTS audit_entries_pkey;
       INSERT INTO audit_entries SELECT * FROM saved_entries;
       ALTER TABLE audit_entries
         ADD CONSTRAINT audit_host_sequence_unique UNIQUE (host_id, sequence_num),
         ADD CONSTRAINT audit_entries_pkey PRIMARY KEY (entry_id)`,
    )
  }

  /** Sets columns of one entry. */
  set(host: HostName, sequenceNum: number, columns: string): string {
    return `UPDATE audit_entries SET ${columns} ${this.where(host, sequenceNum)}`
  }

  where(host: HostName, first: number, last = first): string {
    return `WHERE host_id = '${this.hosts[host]}' AND sequence_num BETWEEN ${first} AND ${last}`
  }

  remove(host: HostName, first: number, last = first): string {
    return `DELETE FROM audit_entries ${this.where(host, first, last)}`
  }
}
