import { randomUUID } from 'node:crypto'
import pg from 'pg'
import { SEVERITY_LEVELS, type SeverityLevel } from '../../../src/index.ts'

export interface WrittenAlert {
  readonly alertId: string
  readonly severity: SeverityLevel
}

/** A transaction that committed, with what is in it. `began` and `ended` count what happened, over all sessions. */
export interface CommittedTransaction {
  readonly alerts: readonly WrittenAlert[]
  readonly began: number
  readonly ended: number
}

/** What happened first, over all sessions of a test. */
export class EventOrder {
  #count = 0

  next(): number {
    return ++this.#count
  }
}

/** Another client that writes alerts in transactions of its own, and knows what each must have left. */
export class WriterSession {
  readonly committed: CommittedTransaction[] = []
  readonly #client: pg.Client
  readonly #hostId: string
  readonly #order: EventOrder
  #began: number | undefined
  /** The alerts before each savepoint, and since the last one. */
  #levels: WrittenAlert[][] = [[]]

  private constructor(client: pg.Client, hostId: string, order: EventOrder) {
    this.#client = client
    this.#hostId = hostId
    this.#order = order
  }

  static async connect(connectionString: string, hostId: string, order: EventOrder): Promise<WriterSession> {
    const client = new pg.Client({ connectionString })
    await client.connect()
    return new WriterSession(client, hostId, order)
  }

  get isOpen(): boolean {
    return this.#began !== undefined
  }

  async begin(isolation = 'READ COMMITTED'): Promise<void> {
    if (this.isOpen) return
    this.#began = this.#order.next()
    await this.#client.query(`BEGIN ISOLATION LEVEL ${isolation}`)
  }

  /** @param late by how much the alerts were received before now, each. */
  async insert(count: number, late: string): Promise<void> {
    const isSingle = !this.isOpen
    if (isSingle) this.#began = this.#order.next()
    const alerts = Array.from({ length: count }, (_, index) => ({
      alertId: randomUUID(),
      severity: SEVERITY_LEVELS[index % SEVERITY_LEVELS.length] ?? 'INFO',
    }))
    const rows = alerts.map(
      ({ alertId, severity }, index) =>
        `('${alertId}', '${this.#hostId}', now(), 'FILE', 'r', NULL, '${severity}', clock_timestamp() - ${index} * interval '${late}')`,
    )
    await this.#client.query(`INSERT INTO alerts VALUES ${rows.join(', ')}`)
    this.#levels.at(-1)?.push(...alerts)
    if (isSingle) this.#end(true)
  }

  async savepoint(): Promise<void> {
    if (!this.isOpen) return
    await this.#client.query('SAVEPOINT s')
    this.#levels.push([])
  }

  async rollbackToSavepoint(): Promise<void> {
    if (this.#levels.length < 2) return
    await this.#client.query('ROLLBACK TO s; RELEASE s')
    this.#levels.pop()
  }

  async commit(): Promise<void> {
    if (!this.isOpen) return
    await this.#client.query('COMMIT')
    this.#end(true)
  }

  async rollback(): Promise<void> {
    if (!this.isOpen) return
    await this.#client.query('ROLLBACK')
    this.#end(false)
  }

  async sql(text: string): Promise<void> {
    await this.#client.query(text)
  }

  async close(): Promise<void> {
    await this.rollback()
    await this.#client.end()
  }

  #end(isCommitted: boolean): void {
    const began = this.#began ?? 0
    if (isCommitted) this.committed.push({ alerts: this.#levels.flat(), began, ended: this.#order.next() })
    this.#began = undefined
    this.#levels = [[]]
  }
}
