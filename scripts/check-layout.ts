/** Checks the direction of imports, the use of the process's globals, and the length of files. */
import { findLayoutProblems } from './support/layout.ts'
import { listFiles, readProjectFile, runCheck } from './support/project.ts'

await runCheck('layout', () => {
  const paths = listFiles('.', name => name.endsWith('.ts'))
  const files = new Map(paths.map(path => [path, readProjectFile(path)]))
  return {
    summary: `${files.size} files, imports in the right direction, no cycles, none too long`,
    problems: findLayoutProblems(files),
  }
})
