import fc from 'fast-check'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { parseIpAddress } from '../../src/model/input.ts'
import { useTestDatabase } from '../support/test-database.ts'

const database = useTestDatabase('empty')
let client: pg.Client
beforeAll(async () => {
  client = new pg.Client({ connectionString: database.directConnectionString })
  await client.connect()
})
afterAll(() => client.end())

async function takenByPostgres(text: string): Promise<boolean> {
  return client.query('SELECT $1::inet', [text]).then(
    () => true,
    () => false,
  )
}

const takenByUs = (text: string): boolean => {
  try {
    parseIpAddress('ip', text)
    return true
  } catch {
    return false
  }
}

const prefix = fc.oneof(
  fc.nat(140).map(String),
  fc.nat(40).map(bits => String(bits).padStart(3, '0')),
  fc.constant(''),
)
const address = fc.oneof(
  fc.ipV4(),
  fc.ipV6(),
  fc.ipV6().map(text => text.toUpperCase()),
)
const almost = fc
  .tuple(address, fc.nat(), fc.constantFrom('', ':', '.', '0', 'g', '%eth0', '/', ' ', '::'))
  .map(([text, at, inserted]) => {
    const index = at % (text.length + 1)
    return text.slice(0, index) + inserted + text.slice(index)
  })

describe('parseIpAddress', () => {
  it('takes nothing that inet refuses', async () => {
    const given = fc.oneof(
      almost,
      fc.tuple(address, prefix).map(([text, bits]) => `${text}/${bits}`),
    )
    await fc.assert(
      fc.asyncProperty(given, async text => {
        if (takenByUs(text)) expect(await takenByPostgres(text), text).toBe(true)
      }),
      { numRuns: 1000 },
    )
  })

  it('takes every address and network', () => {
    fc.assert(
      fc.property(fc.tuple(fc.ipV4(), fc.nat(32)), ([text, bits]) => {
        expect(takenByUs(text)).toBe(true)
        expect(takenByUs(`${text}/${bits}`)).toBe(true)
      }),
    )
    fc.assert(
      fc.property(fc.tuple(fc.ipV6(), fc.nat(128)), ([text, bits]) => {
        expect(takenByUs(text)).toBe(true)
        expect(takenByUs(`${text}/${bits}`)).toBe(true)
      }),
    )
  })

  it.each(['2001:db8::/032', '2001:db8::/00', '10.0.0.0/008'])('agrees with inet about %s', async text => {
    if (takenByUs(text)) expect(await takenByPostgres(text)).toBe(true)
  })

  it.each([
    '',
    'localhost',
    '1.2.3',
    '1.2.3.256',
    '1.2.3.4/33',
    '1.2.3.4/-1',
    '1.2.3.4/',
    '1.2.3.4/8/8',
    '::1/129',
    'fe80::1%eth0',
    '[::1]',
    '1.2.3.4:80',
    ' 1.2.3.4',
    '1.2.3.4\n',
    '01.2.3.4',
    7,
    null,
  ])('refuses %j', given => {
    expect(() => parseIpAddress('host.ipAddress', given)).toThrowError(
      expect.objectContaining({ code: 'INVALID_INPUT', field: 'host.ipAddress', value: given }),
    )
  })
})
