import type { Command } from 'commander'
import { InvalidInputError } from '../../errors.ts'
import {
  type AlertFilterInput,
  type AlertOrder,
  type AlertSpanInput,
  TRIPWIRE_TYPES,
} from '../../model/alert.ts'
import { parseOneOf } from '../../model/input.ts'
import { RawJson } from '../../model/raw-json.ts'
import type { Store } from '../../store.ts'
import type { DatabaseFlags } from '../database.ts'
import { findHostId } from '../find-host.ts'
import { parseTimeArgument, TIME_HELP } from '../time-argument.ts'
import { addSeverityFlag, parseSeverityFlag } from './severity-flag.ts'

/** Which alerts are meant, by what they hold. Each may be given several times. */
export interface FilterFlags extends DatabaseFlags {
  readonly host?: readonly string[]
  readonly severity?: readonly string[]
  readonly type?: readonly string[]
  readonly rule?: readonly string[]
  readonly detail?: string
}

/** And of which time, from where. */
export interface SpanFlags extends FilterFlags {
  readonly from?: string
  readonly to?: string
  readonly timestampFrom?: string
  readonly timestampTo?: string
  readonly cursor?: string
}

export function addFilterFlags(command: Command): Command {
  return addSeverityFlag(
    command.option('--host <name-or-id>', 'of one host; of several, when it is given several times', collect),
  )
    .option('--type <type>', `${TRIPWIRE_TYPES.join(', ')}; may be given several times`, collect)
    .option('--rule <name>', 'of one rule, by its whole name; may be given several times', collect)
    .option('--detail <json>', 'with this in their detail, such as \'{"path":"/etc/passwd"}\'')
}

/** @param defaultFrom what `--from` says when it is not given; without it, everything from the beginning. */
export function addSpanFlags(command: Command, defaultFrom?: string): Command {
  return addFilterFlags(
    command
      .option('--from <time>', `first moment: ${TIME_HELP}`, defaultFrom)
      .option('--to <time>', 'first moment that is not included any more', 'now'),
  )
    .option('--timestamp-from <time>', 'first moment by the clock of the sensor')
    .option('--timestamp-to <time>', 'first moment by the clock of the sensor that is not included any more')
    .option('--cursor <cursor>', 'go on where an earlier call ended; needs its --from and --to as moments')
}

function collect(value: string, earlier: readonly string[] = []): readonly string[] {
  return [...earlier, value]
}

/** @throws InvalidInputError */
export function parseFilterFlags(flags: FilterFlags): Omit<AlertFilterInput, 'hostId'> {
  return {
    severity: parseSeverityFlag(flags.severity),
    tripwireType: flags.type?.map(type => parseOneOf('--type', type.toUpperCase(), TRIPWIRE_TYPES)),
    ruleName: flags.rule,
    detail: flags.detail === undefined ? undefined : parseDetail(flags.detail),
  }
}

/** @throws InvalidInputError */
export function parseSpanFlags(flags: SpanFlags, order: AlertOrder): Omit<AlertSpanInput, 'hostId'> {
  const now = new Date()
  const moment = (name: string, text: string | undefined) =>
    text === undefined ? undefined : parseTimeArgument(name, text, now)
  return {
    ...parseFilterFlags(flags),
    from: moment('--from', flags.from),
    to: moment('--to', flags.to),
    timestampFrom: moment('--timestamp-from', flags.timestampFrom),
    timestampTo: moment('--timestamp-to', flags.timestampTo),
    cursor: flags.cursor,
    order,
  }
}

/** The ids of the hosts that a flag names; `undefined` for all hosts. */
export async function findHostIds(store: Store, flags: FilterFlags): Promise<string[] | undefined> {
  return flags.host && Promise.all(flags.host.map(nameOrId => findHostId(store, nameOrId)))
}

/** What to put on the next command line to go on. The moments are written out: `-24h` is another one each time. */
export function continuation(query: Omit<AlertSpanInput, 'hostId'>, cursor: string): string {
  const moments = [
    ['--from', query.from],
    ['--to', query.to],
    ['--timestamp-from', query.timestampFrom],
    ['--timestamp-to', query.timestampTo],
  ] as const
  const given = moments.flatMap(([flag, moment]) => (moment ? [`${flag} ${String(moment)}`] : []))
  return [...given, `--cursor ${cursor}`].join(' ')
}

function parseDetail(text: string): RawJson {
  try {
    return RawJson.fromText(text)
  } catch (cause) {
    throw new InvalidInputError('--detail', text, 'a JSON document', { cause })
  }
}
