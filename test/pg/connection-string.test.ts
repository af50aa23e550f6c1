import { inspect } from 'node:util'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Store, type StoreOptions } from '../../src/index.ts'
import { maskPassword, parseConnectionString } from '../../src/pg/connection-string.ts'
import { rejection } from '../store/fixtures.ts'

/** Everything that a log may take from an error. */
function everythingAbout(error: unknown): string {
  const own = error instanceof Error ? `${error.message}\n${error.stack}\n${String(error.cause)}` : ''
  return [own, JSON.stringify(error), inspect(error, { depth: 10, showHidden: true })].join('\n')
}

const SECRET = 'hunter2-s3cr3t'

describe('a connection string that cannot be parsed', () => {
  it.each([
    ['a port that is no number', `postgres://app:${SECRET}@db:port/alerts`],
    ['a port out of range', `postgres://app:${SECRET}@db:70000/alerts`],
    ['another scheme', `mysql://app:${SECRET}@db/alerts`],
    ['no scheme', `app:${SECRET}@db/alerts`],
    ['the form of libpq', `host=db user=app password=${SECRET}`],
    ['the form of libpq with quotes', `host=db password='${SECRET} and more' user=app`],
    ['an unescaped # in the password', `postgres://app:a#${SECRET}@db:port/alerts`],
    ['an unescaped / in the password', `postgres://app:a/${SECRET}@db:port/alerts`],
    ['an unescaped @ in the password', `postgres://app:a@${SECRET}@db:port/alerts`],
    ['an unescaped line end in the password', `postgres://app:a\n${SECRET}@db:port/alerts`],
    ['a password in the query', `mysql://db/alerts?user=app&password=${SECRET}`],
    ['a forgotten @', `postgres://app:${SECRET}db:5432/alerts`],
    ['a forgotten host', `postgres://app:${SECRET}`],
  ])('is refused without its password: %s', async (_, connectionString) => {
    const error = await rejection(Store.open({ connectionString }))
    expect(error).toMatchObject({ code: 'INVALID_CONNECTION_STRING', field: 'connectionString' })
    expect(everythingAbout(error)).not.toContain(SECRET)
  })

  it.each([
    ['a URL object', new URL(`postgres://app:${SECRET}@db/alerts`)],
    ['the options of the driver', { host: 'db', password: SECRET }],
    ['nothing', undefined],
  ])('is refused without its password when it is %s', async (_, connectionString) => {
    const options = { connectionString } as unknown as StoreOptions
    const error = await rejection(Store.open(options))
    expect(error).toMatchObject({ code: 'INVALID_CONNECTION_STRING', field: 'connectionString' })
    expect(everythingAbout(error)).not.toContain(SECRET)
  })
})

describe('a server that does not answer', () => {
  it('is reported without the password', async () => {
    const connectionString = `postgres://app:${SECRET}@127.0.0.1:1/alerts`
    const error = await rejection(Store.open({ connectionString }))
    expect(error).toMatchObject({ code: 'CONNECTION_FAILED', hint: expect.any(String) })
    expect(everythingAbout(error)).not.toContain(SECRET)
  })
})

describe('maskPassword', () => {
  const password = fc.string({ minLength: 6, maxLength: 30, unit: 'binary' })

  it('leaves nothing of any password in a URL', () => {
    fc.assert(
      fc.property(password, secret => {
        const unique = `<${secret}>`
        expect(maskPassword(`postgres://app:${unique}@db:5432/alerts`)).not.toContain(unique)
        expect(maskPassword(`postgres://app:${unique}@db:5432/alerts`)).toBe(
          'postgres://app:***@db:5432/alerts',
        )
      }),
      { numRuns: 1000 },
    )
  })

  it('leaves nothing of any password that is escaped as it should be', () => {
    fc.assert(
      fc.property(fc.string({ minLength: 6, unit: 'grapheme' }), secret => {
        const escaped = `x${encodeURIComponent(secret)}y`
        for (const url of [
          `postgres://app:${escaped}@db/alerts`,
          `postgres://:${escaped}@db/alerts`,
          `postgres:///alerts?password=${escaped}&host=db`,
          `postgres://db/alerts?sslmode=require&PASSWORD=${escaped}`,
        ]) {
          expect(maskPassword(url)).not.toContain(escaped)
        }
      }),
    )
  })

  it('leaves a string without a password as it is', () => {
    const text = 'postgres://db:5432/alerts?sslmode=require'
    expect(maskPassword(text)).toBe(text)
  })
})

describe('parseConnectionString', () => {
  it.each([
    'postgres://app:pw@db:5432/alerts',
    'postgresql://app@db/alerts',
    'POSTGRES://db/alerts',
    'postgres://app:p%40ss@[::1]:5432/alerts?application_name=x',
    'postgres:///alerts?host=/var/run/postgresql',
  ])('takes %s', text => {
    expect(parseConnectionString('connectionString', text)).toMatchObject({ database: 'alerts' })
  })
})
