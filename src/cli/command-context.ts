import type { ExitCode } from './exit-code.ts'

export interface TextOutput {
  write(text: string): unknown
  readonly isTTY?: boolean
  readonly columns?: number
  /** Waits until what was written is on its way to the reader, so that it does not pile up. `false`: nobody reads any more. */
  whenRead?(): Promise<boolean>
}

/** What a command gets from its surroundings, so that nothing but the entry point touches the process. */
export interface CommandContext {
  /** Aborted when the user asks to stop. */
  readonly signal: AbortSignal
  readonly stdout: TextOutput
  readonly stderr: TextOutput
  readonly stdin: AsyncIterable<Uint8Array>
  readonly env: { readonly [name: string]: string | undefined }
  /** What the command sets when it ends without an error but not with everything done. */
  exitCode: ExitCode
}
