/** What the command tells its caller by its exit status. */
export const EXIT_CODE = {
  /** Everything that was asked for is done. */
  done: 0,
  /** Something failed, or not every line could be stored. The message on stderr says what. */
  failed: 1,
  /** The command line cannot be understood, or a value in it is not acceptable. Nothing was done. */
  usage: 2,
  /** The database was examined, and something should be seen to. */
  findings: 3,
  /** The audit log was verified, no damage was found, and not everything could be checked that was to be checked. */
  cannotTell: 4,
} as const

export type ExitCode = (typeof EXIT_CODE)[keyof typeof EXIT_CODE]

export const EXIT_CODE_HELP = `
Exit codes:
  0  done
  1  failed, or not every line could be stored
  2  wrong usage; nothing was done
  3  doctor or audit found something
  4  audit found no damage, and could not check everything`
