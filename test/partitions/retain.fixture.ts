/** Applies a retention that takes everything but the last month. */
import { Store } from '../../src/index.ts'

const [connectionString = '', archiveDir = ''] = process.argv.slice(2)

await using store = await Store.open({
  connectionString,
  maintenanceIntervalMs: 0,
  applicationName: 'retain until killed',
})
await store.applyRetention({ keepMonths: 1, archiveDir })
