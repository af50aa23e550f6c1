import fc from 'fast-check'
import { expect, it } from 'vitest'
import { formatBytes, parseBytesArgument } from '../../src/cli/bytes-argument.ts'

it.each([
  ['0', 0],
  ['1024', 1024],
  ['500B', 500],
  ['1KiB', 1024],
  ['20GiB', 20 * 1024 ** 3],
  ['2TiB', 2 * 1024 ** 4],
])('%s is %i bytes', (text, bytes) => {
  expect(parseBytesArgument('--keep-bytes', text)).toBe(bytes)
})

it.each(['', '-1', '1.5GiB', '1GB', '1 GiB', 'GiB', '1e9', '9999999999999999'])('refuses %j', text => {
  expect(() => parseBytesArgument('--keep-bytes', text)).toThrow(/--keep-bytes: expected a number of bytes/)
})

it.each([
  [0, '0 B'],
  [1023, '1023 B'],
  [1024, '1.0 KiB'],
  [1536, '1.5 KiB'],
  [150 * 1024, '150 KiB'],
  [1024 ** 5, '1024 TiB'],
])('%i bytes are written as %s', (bytes, text) => {
  expect(formatBytes(bytes)).toBe(text)
})

it('writes every size within a twentieth of what it is', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER }), bytes => {
      const [value = '', unit = ''] = formatBytes(bytes).split(' ')
      const factor = parseBytesArgument('--x', `1${unit}`)
      expect(Math.abs(Number(value) * factor - bytes)).toBeLessThanOrEqual(bytes / 20)
    }),
  )
})
