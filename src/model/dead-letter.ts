/** An alert that the database refused, kept with the reason. */
export interface DeadLetter {
  readonly deadLetterId: string
  /** The alert as it was received, one line of JSON, as `ingest` reads it. */
  readonly alertJson: string
  /** `null` where it could not be read. */
  readonly alertId: string | null
  readonly hostId: string | null
  /** An error code: UNKNOWN_HOST, ALERT_CONFLICT, INVALID_INPUT, QUERY_FAILED … */
  readonly reason: string
  readonly message: string
  /** The SQLSTATE, where the database refused it. */
  readonly sqlState: string | null
  /** The column, where the database named it. */
  readonly column: string | null
  readonly attempts: number
  /** RFC 3339, UTC, microseconds. */
  readonly firstAttemptAt: string
  /** RFC 3339, UTC, microseconds. */
  readonly lastAttemptAt: string
}

/** Which dead letters. All conditions must hold; without any, all dead letters. */
export interface DeadLetterFilter {
  readonly deadLetterIds?: readonly string[] | undefined
  readonly hostId?: string | undefined
  readonly reason?: string | undefined
  /** 1 to 10,000. Defaults to 100 for a list, and to 10,000 for the others. */
  readonly limit?: number | undefined
}

export interface RedriveReport {
  /** Dead letters whose alert is stored now. They are gone. */
  readonly stored: number
  /** Dead letters whose alert was stored already. They are gone. */
  readonly duplicate: number
  /** Dead letters that were refused again. They stay, with one more attempt. */
  readonly refused: number
}
