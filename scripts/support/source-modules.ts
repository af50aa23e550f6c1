/** What stands behind the names that users of the package import. */
export const SOURCE_MODULES: Readonly<Record<string, string>> = {
  'tripwire-storage': 'src/index.ts',
  'tripwire-storage/embedded': 'src/embedded/index.ts',
}
