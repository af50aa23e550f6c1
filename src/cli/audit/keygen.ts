import { Command } from 'commander'
import { generateAuditKey } from '../../audit/note/audit-key.ts'
import { publicKeyPath, writeKeyFiles } from '../../audit/note/key-files.ts'
import type { CommandContext } from '../command-context.ts'

interface KeygenFlags {
  readonly name: string
  readonly out: string
}

export function keygenCommand(context: CommandContext): Command {
  return new Command('keygen')
    .description('make a key pair that signs checkpoints; nothing is written over')
    .requiredOption('--name <name>', 'who signs, best a URL without its scheme: example.com/audit')
    .requiredOption(
      '--out <file>',
      'where the private key goes; the public one goes beside it, to <file>.pub',
    )
    .action(async ({ name, out }: KeygenFlags) => {
      const key = generateAuditKey(name)
      await writeKeyFiles(out, key)
      context.stdout.write(`${key.publicKey}\n`)
      context.stderr.write(
        `the private key is in ${out}: keep it where the owner of the database cannot read it\n` +
          `the public key is in ${publicKeyPath(out)}: give it to whoever verifies\n`,
      )
    })
}
