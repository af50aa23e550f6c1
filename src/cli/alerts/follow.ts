import type { Alert } from '../../model/alert.ts'
import type { Store } from '../../store.ts'
import type { CommandContext } from '../command-context.ts'
import { withStore } from '../database.ts'
import { jsonLine, printable } from '../output.ts'
import { parseTimeArgument, TIME_HELP } from '../time-argument.ts'
import { alertJson } from './alert-json.ts'
import { type FilterFlags, findHostIds, parseFilterFlags } from './filter-flags.ts'

export interface FollowFlags extends FilterFlags {
  readonly after?: string
  readonly json?: boolean
}

export const AFTER_HELP = `with --follow: first what came since; the token of an earlier --follow, or ${TIME_HELP}`

/** A moment, and no token. */
const MOMENT = /^(?:now$|-\d|\d{4}-)/

/** As wide as what stands in them mostly is: what comes later is not known. */
const COLUMNS = [
  ['RECEIVED', 27],
  ['SEVERITY', 8],
  ['TYPE', 7],
  ['HOST', 20],
  ['RULE', 30],
  ['ID', 0],
] as const

/** Prints alerts as they are committed, until the user asks to stop or the reader is gone. */
export async function followAlerts(context: CommandContext, flags: FollowFlags): Promise<void> {
  const { signal, stdout, stderr } = context
  const filter = parseFilterFlags(flags)
  const after =
    flags.after !== undefined && MOMENT.test(flags.after)
      ? parseTimeArgument('--after', flags.after)
      : flags.after
  await withStore(context, flags, async store => {
    const lineOf = flags.json ? jsonLineOf : new TableLines(store).lineOf
    const hostId = await findHostIds(store, flags)
    const onRetry = (error: unknown) =>
      stderr.write(`${error instanceof Error ? error.message : String(error)}; trying again\n`)
    const tail = store.tailAlerts({ after, filter: { ...filter, hostId }, signal, onRetry })
    try {
      if (!flags.json) stdout.write(tableLine(COLUMNS.map(([title]) => title)))
      for await (const { alert } of tail) {
        stdout.write(await lineOf(alert))
        if ((await stdout.whenRead?.()) === false) break
      }
    } catch (error) {
      if (!signal.aborted) throw error
    } finally {
      const { resumeToken } = tail
      await tail.close()
      if (resumeToken !== undefined) stderr.write(`go on with: --follow --after ${resumeToken}\n`)
    }
  })
}

async function jsonLineOf(alert: Alert): Promise<string> {
  return `${jsonLine(alertJson(alert))}\n`
}

/** Hosts by their names, each asked for once. */
class TableLines {
  readonly #store: Store
  readonly #names = new Map<string, string>()

  constructor(store: Store) {
    this.#store = store
  }

  readonly lineOf = async (alert: Alert): Promise<string> => {
    const { receivedAt, severity, tripwireType, ruleName, alertId } = alert
    return tableLine([
      receivedAt,
      severity,
      tripwireType,
      await this.#nameOf(alert.hostId),
      ruleName,
      alertId,
    ])
  }

  async #nameOf(hostId: string): Promise<string> {
    const known = this.#names.get(hostId)
    if (known !== undefined) return known
    const host = await this.#store.getHost(hostId)
    const name = host?.hostname ?? hostId
    this.#names.set(hostId, name)
    return name
  }
}

function tableLine(cells: readonly string[]): string {
  const padded = cells.map((cell, index) => printable(cell).padEnd(COLUMNS[index]?.[1] ?? 0))
  return `${padded.join('  ').trimEnd()}\n`
}
