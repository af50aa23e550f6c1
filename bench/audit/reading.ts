/** How the log is read: verified, or by the statement of the verifier, or by its columns, with the rows thrown away. */
export const READINGS = ['verify', 'lines', 'columns'] as const
export type Reading = (typeof READINGS)[number]
