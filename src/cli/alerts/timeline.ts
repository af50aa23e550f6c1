import type { Command } from 'commander'
import { type AlertTimelineBucket, TIMELINE_BUCKETS, TIMELINE_GROUPS } from '../../model/alert-counts.ts'
import { parseOneOf } from '../../model/input.ts'
import type { CommandContext } from '../command-context.ts'
import { databaseCommand, withStore } from '../database.ts'
import { grouped, writeJsonLines, writeTable } from '../output.ts'
import { addCountFlags, type CountFlags, parseCountFlags } from './count-flags.ts'

interface TimelineFlags extends CountFlags {
  readonly bucket: string
  readonly groupBy?: string
}

/** The length of the longest bar of the table. */
const BAR_LENGTH = 40
/** So many groups of a bucket have room in a line. */
const SHOWN_GROUPS = 5
/** `2026-03-10T10:00`: no bucket begins within a minute. */
const MINUTE_LENGTH = 16

export function alertTimelineCommand(context: CommandContext): Command {
  return addCountFlags(databaseCommand('timeline'))
    .description('count alerts by steps of time (UTC), exactly')
    .option('--bucket <step>', TIMELINE_BUCKETS.join(', '), 'hour')
    .option('--group-by <member>', `tell apart within a step: ${TIMELINE_GROUPS.join(', ')}`)
    .action(async (flags: TimelineFlags) => {
      const query = {
        ...parseCountFlags(flags),
        bucket: parseOneOf('--bucket', flags.bucket, TIMELINE_BUCKETS),
        groupBy:
          flags.groupBy === undefined ? undefined : parseOneOf('--group-by', flags.groupBy, TIMELINE_GROUPS),
      }
      const buckets = await withStore(context, flags, store =>
        store.alertTimeline(query, { signal: context.signal }),
      )
      if (flags.json) return writeJsonLines(context.stdout, buckets)
      const most = Math.max(1, ...buckets.map(({ alerts }) => alerts))
      writeTable(context.stdout, buckets, [
        { title: 'FROM', value: each => each.from.slice(0, MINUTE_LENGTH) },
        { title: 'ALERTS', value: each => grouped(each.alerts) },
        ...(query.groupBy === undefined
          ? [
              {
                title: '',
                value: (each: AlertTimelineBucket) =>
                  '#'.repeat(Math.ceil((each.alerts / most) * BAR_LENGTH)),
              },
            ]
          : [{ title: query.groupBy.toUpperCase(), value: describeGroups }]),
      ])
    })
}

function describeGroups({ groups }: AlertTimelineBucket): string {
  const shown = groups.slice(0, SHOWN_GROUPS).map(({ value, alerts }) => `${value} ${grouped(alerts)}`)
  const more = groups.length - shown.length
  return [...shown, ...(more === 0 ? [] : [`${grouped(more)} more`])].join(', ')
}
