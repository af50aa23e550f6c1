/** Results go to stdout, what happens meanwhile to stderr, so that `--json` can be piped. */
export interface Output {
  /** A line or several for people; left out with `--json`. */
  print(text: string): void
  progress(text: string): void
  /** The results for programs; left out without `--json`. */
  json(value: object): void
}

export function openOutput(asJson: boolean): Output {
  return {
    print: text => {
      if (!asJson) process.stdout.write(`${text}\n`)
    },
    progress: text => {
      process.stderr.write(`${text}\n`)
    },
    json: value => {
      if (asJson) process.stdout.write(`${JSON.stringify(value, null, 2)}\n`)
    },
  }
}
