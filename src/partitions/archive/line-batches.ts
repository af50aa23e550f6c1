const LINE_FEED = 0x0a

/** Content in batches of whole lines, of `batchBytes` and the rest of a piece or of a line. */
export async function* lineBatches(
  content: AsyncIterable<Buffer>,
  batchBytes: number,
): AsyncGenerator<Buffer> {
  let held: Buffer[] = []
  let heldBytes = 0
  for await (const bytes of content) {
    held.push(bytes)
    heldBytes += bytes.length
    if (heldBytes < batchBytes || !bytes.includes(LINE_FEED)) continue
    const all = Buffer.concat(held)
    const end = all.lastIndexOf(LINE_FEED) + 1
    yield all.subarray(0, end)
    held = [all.subarray(end)]
    heldBytes = all.length - end
  }
  if (heldBytes > 0) yield Buffer.concat(held)
}
