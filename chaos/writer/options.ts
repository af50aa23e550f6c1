import { parseArgs } from 'node:util'

/** What a writer process is started with. */
export interface WriterOptions {
  readonly writer: number
  readonly connectionString: string
  readonly ledgerPath: string
  /** Absent: a writer without a spool. */
  readonly spoolDir: string | undefined
  /** A small spool and little memory, so that both are full at times. */
  readonly isSmall: boolean
  readonly closeTimeoutMs: number
  /** When the run began, in milliseconds since 1970. */
  readonly origin: number
  /** The first number to send, when the ledger is empty. */
  readonly firstNumber: number
  readonly seed: number
}

export function writerArguments(options: WriterOptions): readonly string[] {
  return [
    `--writer=${options.writer}`,
    `--url=${options.connectionString}`,
    `--ledger=${options.ledgerPath}`,
    ...(options.spoolDir === undefined ? [] : [`--spool=${options.spoolDir}`]),
    ...(options.isSmall ? ['--small'] : []),
    `--close-timeout=${options.closeTimeoutMs}`,
    `--origin=${options.origin}`,
    `--first=${options.firstNumber}`,
    `--seed=${options.seed}`,
  ]
}

export function readWriterArguments(args: readonly string[]): WriterOptions {
  const text = { type: 'string', default: '' } as const
  const { values } = parseArgs({
    args: [...args],
    options: {
      writer: text,
      url: text,
      ledger: text,
      spool: { type: 'string' },
      small: { type: 'boolean', default: false },
      'close-timeout': text,
      origin: text,
      first: text,
      seed: text,
    },
  })
  return {
    writer: Number(values.writer),
    connectionString: values.url,
    ledgerPath: values.ledger,
    spoolDir: values.spool,
    isSmall: values.small,
    closeTimeoutMs: Number(values['close-timeout']),
    origin: Number(values.origin),
    firstNumber: Number(values.first),
    seed: Number(values.seed),
  }
}
