/** Which part of `src` may use what. docs/design says why; `npm run check` enforces it. */

export interface PartRules {
  /** Other parts whose modules this part may import; its own it always may. */
  readonly parts: readonly string[]
  /** Other parts of which it may import types only. */
  readonly typesOf?: readonly string[]
  /** The packages of npm that it may import, each with the number of files that may do so. */
  readonly packages?: Readonly<Record<string, number>>
  /** The modules of Node.js that it may import, each with the names allowed or `any`. Without the list: all. */
  readonly builtins?: Readonly<Record<string, readonly string[] | 'any'>>
}

const LEAVES = ['errors', 'model'] as const
const DOMAINS = ['alerts', 'hosts', 'rules', 'audit', 'partitions', 'migrate'] as const

/** A part over the database: it may write the audit log inside its own transaction. */
const DOMAIN: PartRules = { parts: ['audit', 'pg', ...LEAVES] }

/** A part is a folder of `src`, or a module directly in it. */
export const PARTS: Readonly<Record<string, PartRules>> = {
  // The command may use everything.
  cli: {
    parts: [
      ...[
        'index',
        'import',
        'sensors',
        'store',
        'store-options',
        'spool',
        'embedded',
        'files',
        'within',
        'doctor',
        'pg',
      ],
      ...[...DOMAINS, ...LEAVES],
    ],
    packages: { commander: Number.POSITIVE_INFINITY },
  },
  // The public surface: exports only, and nothing of the driver.
  index: {
    parts: [
      'import',
      'sensors',
      'store',
      'store-events',
      'store-options',
      'store-metrics',
      'doctor',
      ...DOMAINS,
      ...LEAVES,
    ],
    builtins: {},
  },
  import: { parts: ['sensors', ...LEAVES], typesOf: ['store', 'store-options'] },
  store: {
    parts: ['store-events', 'store-options', 'store-metrics', 'spool', 'within', 'pg', ...DOMAINS, ...LEAVES],
  },
  // What is wrong with a database, found without a store: it must work where none opens.
  doctor: { parts: ['migrate', 'partitions', 'spool', 'pg', ...LEAVES], builtins: { 'node:path': 'any' } },
  // The rules of retention are those of `applyRetention`.
  'store-options': { parts: ['partitions', ...LEAVES], builtins: {} },
  // What a store tells and counts: types alone.
  'store-events': { parts: LEAVES, typesOf: ['alerts'], builtins: {} },
  // Numbers of the parts below, put together for the caller.
  'store-metrics': {
    parts: LEAVES,
    typesOf: ['alerts', 'spool'],
    builtins: {},
    packages: { '@opentelemetry/api': 1 },
  },
  alerts: DOMAIN,
  hosts: DOMAIN,
  rules: DOMAIN,
  partitions: { parts: ['audit', 'files', 'pg', ...LEAVES] },
  migrate: DOMAIN,
  audit: { parts: ['files', 'pg', ...LEAVES] },
  pg: {
    parts: LEAVES,
    packages: { pg: Number.POSITIVE_INFINITY, 'pg-connection-string': Number.POSITIVE_INFINITY },
  },
  // It stands beside the storage layer: it asks its own server by the driver, in one place.
  embedded: { parts: ['files', ...LEAVES], packages: { pg: 1 } },
  // Alerts on the local disk while the database is away: it knows nothing of the database.
  spool: { parts: ['files', ...LEAVES] },
  // Locks on folders, and new files in them: it knows nothing of what lies in them.
  files: { parts: [] },
  within: { parts: LEAVES, builtins: {} },
  sensors: { parts: LEAVES, builtins: { 'node:crypto': 'any' } },
  model: { parts: ['errors'], builtins: { 'node:net': ['isIP', 'isIPv4', 'isIPv6'] } },
  errors: { parts: ['model'], builtins: {} },
}

/**
 * Where the globals of the process may be used, and which of their members. A library must not exit, listen to
 * signals, print, or read the environment of its caller.
 */
export const PROCESS_GLOBALS: Readonly<Record<string, Readonly<Record<string, readonly string[] | 'any'>>>> =
  {
    process: { cli: 'any', embedded: ['platform', 'arch', 'pid', 'getuid', 'kill'], files: ['pid'] },
    console: { cli: 'any' },
  }

export const LONGEST_SOURCE_LINES = 300
export const LONGEST_TEST_LINES = 500

/** Files that may be longer, each with the reason. */
export const LONG_FILES: Readonly<Record<string, string>> = {
  'src/store.ts': 'the façade: one delegation a method, and their documentation',
}
