import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  contentOf,
  insertHost,
  makeMonth,
  makeMonthByHand,
  monthFromNow,
  partitionNames,
  partitionOf,
} from '../partitions/fixtures.ts'
import { useTestDatabase } from '../support/test-database.ts'
import { jsonLines, runCli } from './run-cli.ts'

const database = useTestDatabase()
const run = (...argv: string[]) => runCli(database.connectionString, ['partitions', ...argv])
const NAME = 'alerts_y2025m01'
let archiveDir: string
let hostId: string

beforeAll(async () => {
  await database.sql('DROP TABLE alerts_y2026m02')
  hostId = await insertHost(database)
  archiveDir = await mkdtemp(join(tmpdir(), 'tripwire-archive-'))
})
afterAll(() => rm(archiveDir, { recursive: true, force: true }))

describe('partitions', () => {
  it('ensure makes months, and says which were there', async () => {
    const first = await run('ensure', '--months-ahead', '1')
    expect(first).toMatchObject({ exitCode: 0, stderr: '' })
    expect(first.stdout.trim().split('\n')).toEqual([
      expect.stringMatching(/^alerts_y\d{4}m\d\d {2}made$/),
      expect.stringMatching(/^alerts_y\d{4}m\d\d {2}made$/),
    ])
    const second = jsonLines((await run('ensure', '--json')).stdout)
    expect(second.map(month => month['made'])).toEqual([false, false, true, true])
  })

  it('list shows month, rows, size, indexes and state', async () => {
    await makeMonth(database, '2025-01', hostId, 1500)
    await makeMonthByHand(database, '2024-12', 'alerts_2024_12')
    await database.sql('ANALYZE alerts')
    const { stdout, exitCode } = await run('list')
    expect(exitCode).toBe(0)
    const lines = stdout.split('\n')
    expect(lines[0]).toMatch(/^PARTITION\s+MONTH\s+ROWS\s+SIZE\s+INDEXES\s+STATE$/)
    expect(lines[1]).toMatch(/^alerts_2024_12\s+2024-12\s+~0\s+104 KiB\s+12\s+attached, incomplete$/)
    expect(lines[2]).toMatch(/^alerts_y2025m01\s+2025-01\s+~1,500\s+\d.* [KM]iB\s+13\s+attached$/)
    const json = jsonLines((await run('--json')).stdout)
    expect(json[1]).toMatchObject({ partition: NAME, rows: 1500, isComplete: true, state: 'attached' })
  })

  it('index-details indexes what is closed, or every month', async () => {
    const indexed = ['alerts_y2025m01', 'alerts_2024_12'].map(partition => `${partition}  indexed\n`)
    expect((await run('index-details')).stdout).toContain(indexed.join(''))
    expect((await run('index-details')).stdout).toBe('nothing to index\n')
    expect(jsonLines((await run('index-details', '--months', 'every', '--json')).stdout)).toEqual([
      { indexed: expect.arrayContaining([partitionOf(monthFromNow(0))]), failures: [] },
    ])
    const refused = await run('index-details', '--months', 'some')
    expect(refused.exitCode).toBe(2)
    expect(refused.stderr).toContain('--months')
  })

  it('mend completes what was made by hand', async () => {
    expect((await run('mend')).stdout).toBe('alerts_2024_12  completed\n')
    expect((await run('mend')).stdout).toBe('nothing to mend\n')
    await database.sql('DROP TABLE alerts_2024_12')
  })

  it('mend removes duplicates only when told so', async () => {
    await makeMonthByHand(database, '2024-11', 'alerts_2024_11')
    for (const rule of ['a', 'a', 'b']) {
      await database.sql(
        `INSERT INTO alerts (alert_id, host_id, timestamp, tripwire_type, rule_name, severity, received_at) VALUES ('00000000-0000-4000-8000-000000000001', '${hostId}', '2024-11-01Z', 'FILE', '${rule}', 'INFO', '2024-11-10Z'::timestamptz + random() * INTERVAL '1 day')`,
      )
    }
    const refused = await run('mend')
    expect(refused).toMatchObject({ exitCode: 1, stdout: '' })
    expect(refused.stderr).toContain(
      '[DUPLICATE_ALERTS]\nhint: tripwire-storage partitions mend --remove-duplicates',
    )
    const mended = await run('mend', '--remove-duplicates', '--json')
    expect(mended.exitCode).toBe(0)
    expect(jsonLines(mended.stdout)).toMatchObject([
      {
        deduplicated: [{ partition: 'alerts_2024_11', removed: 2 }],
        completed: ['alerts_2024_11'],
        failures: [],
      },
    ])
    await database.sql('DROP TABLE alerts_2024_11; DELETE FROM alert_dead_letters')
  })

  it('retain --dry-run tells what is due and changes nothing', async () => {
    const before = await partitionNames(database)
    const table = await run('retain', '--keep-months', '1', '--dry-run')
    expect(table.stdout).toMatch(/^alerts_y2025m01\s+2025-01-01T00:00:00.000000Z\s+2025-02-01\S+\s+~1,500/m)
    const json = jsonLines((await run('retain', '--keep-bytes', '0', '--dry-run', '--json')).stdout)
    expect(json.map(month => month['partition'])).toEqual([NAME])
    expect((await run('retain', '--keep-bytes', '1GiB', '--dry-run')).stdout).toBe('no month is due\n')
    expect(await partitionNames(database)).toEqual(before)
  })

  it('retain archives and drops, and restore brings the same rows back', async () => {
    const expected = await contentOf(database, NAME)
    const retained = await run('retain', '--keep-months', '1', '--archive-dir', archiveDir)
    const manifest = join(archiveDir, `${NAME}.manifest.json`)
    expect(retained).toMatchObject({
      exitCode: 0,
      stderr: '',
      stdout: `${NAME}  dropped, 1,500 alerts in ${manifest}\n`,
    })
    expect((await readdir(archiveDir)).sort()).toEqual([`${NAME}.manifest.json`, `${NAME}.ndjson.gz`])
    const restored = await run('restore', manifest)
    expect(restored).toMatchObject({ exitCode: 0, stdout: `${NAME}  1,500 alerts are back\n` })
    expect(await contentOf(database, NAME)).toEqual(expected)
    expect((await run('list')).stdout).toMatch(/alerts_y2025m01.*attached, restored$/m)
    const twice = await run('restore', manifest)
    expect(twice).toMatchObject({ exitCode: 1, stdout: '' })
    expect(twice.stderr).toContain('MONTH_EXISTS')
  })

  it('retain reports what failed, ends with 1, and says nothing of success', async () => {
    const failed = await run(
      'retain',
      '--keep-months',
      '1',
      '--archive-dir',
      '/no/such/folder',
      '--include-restored',
    )
    expect(failed).toMatchObject({ exitCode: 1, stdout: '' })
    expect(failed.stderr).toContain('ARCHIVE_FAILED')
    const [report] = jsonLines(
      (
        await run(
          ...['retain', '--keep-months', '1', '--archive-dir', '/no/such/folder'],
          ...['--include-restored', '--json'],
        )
      ).stdout,
    )
    expect(report).toMatchObject({ skipped: false, failures: [{ code: 'ARCHIVE_FAILED', partition: NAME }] })
  })
})

describe('a command line of partitions that cannot be carried out', () => {
  it.each([
    ['no rule to go by', ['retain'], 2, /options\.keepMonths/],
    ['a size that is none', ['retain', '--keep-bytes', '5GB'], 2, /--keep-bytes[\s\S]*GiB/],
    ['a negative number of months', ['retain', '--keep-months', '-1'], 2, /keepMonths/],
    ['too many months ahead', ['ensure', '--months-ahead', '121'], 2, /monthsAhead/],
    ['no manifest', ['restore'], 2, /missing required argument 'manifest'/],
    [
      'a manifest that is not there',
      ['restore', '/no/such/file'],
      2,
      /manifestPath: expected the path of a manifest/,
    ],
  ])('%s ends with the right code and says why', async (_, argv, exitCode, message) => {
    const result = await run(...argv)
    expect(result.stderr).toMatch(message)
    expect(result).toMatchObject({ exitCode, stdout: '' })
  })
})
