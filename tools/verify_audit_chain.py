#!/usr/bin/env python3
"""Verifies an evidence bundle by docs/audit-chain.md alone: python3 verify_audit_chain.py FILE [ROOT_HASH]

Apart from the library, with the standard library only. It recomputes every link hash and the inclusion proof, but cannot
check the signature: give the ROOT_HASH (Base64) that you trust. Exit code 0: they lead to it; 1: they do not; 2: unreadable."""
import base64
import hashlib
import json
import struct
import sys
import threading

class Number(str):
    """A number as it was written."""

def canonical(value):
    if isinstance(value, Number):
        return value
    if isinstance(value, dict):
        names = sorted(value, key=lambda name: name.encode('utf-16-be'))
        return '{' + ','.join(canonical(name) + ':' + canonical(value[name]) for name in names) + '}'
    if isinstance(value, list):
        return '[' + ','.join(map(canonical, value)) + ']'
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else {True: 'true', False: 'false', None: 'null'}[value]

def digest_of_payload(text):
    value = json.loads(text, parse_int=Number, parse_float=Number)
    return hashlib.sha256(canonical(value).encode()).hexdigest()

def link_hash(host, entry, previous_link, payload_digest):
    given = '' if entry['rowHash'] is None else entry['eventHash']
    fields = (host, entry['sequenceNum'], entry['entryId'], entry['createdAt'], entry['prevHash'], previous_link, given, payload_digest)
    preimage = b'tripwire-storage/audit-entry/v1\n'
    for field in fields:
        data = field.encode()
        preimage += struct.pack('>I', len(data)) + data
    return hashlib.sha256(preimage).hexdigest()

def root_from_proof(leaf, index, size, proof):
    """RFC 9162, section 2.1.3.2."""
    subtree, place, last = hashlib.sha256(b'\0' + leaf).digest(), index, size - 1
    for neighbour in map(base64.b64decode, proof):
        if last == 0:
            raise ValueError('the inclusion proof is too long')
        if place % 2 == 1 or place == last:
            subtree = hashlib.sha256(b'\1' + neighbour + subtree).digest()
            while place % 2 == 0 and place != 0:
                place, last = place // 2, last // 2
        else:
            subtree = hashlib.sha256(b'\1' + subtree + neighbour).digest()
        place, last = place // 2, last // 2
    if last != 0:
        raise ValueError('the inclusion proof is too short')
    return base64.b64encode(subtree).decode()

def verify(lines, trusted_root):
    header = json.loads(next(lines))
    if (header['kind'], header['format'], header['formatVersion']) != ('header', 'tripwire-storage/audit-evidence', 1):
        raise ValueError('this is no evidence bundle of version 1')
    host, sequence = header['hostId'], int(header['previous']['sequenceNum'])
    event, link, proven, may_follow = header['previous']['eventHash'], header['previous']['linkHash'], 0, ('entry',)
    for text in lines:
        line = json.loads(text)
        if line['kind'] not in may_follow:
            raise ValueError(f'a line of kind {line["kind"]} stands where {may_follow} may')
        if line['kind'] == 'checkpoint':
            break
        may_follow = ('context', 'checkpoint') if line['kind'] == 'context' else ('entry', 'context', 'checkpoint')
        sequence += 1
        payload_digest = line['payloadSha256'] if line['kind'] == 'context' else digest_of_payload(line['payload'])
        computed = link_hash(host, line, link, payload_digest)
        if line['sequenceNum'] != str(sequence) or line['prevHash'] != event or computed != (line['rowHash'] or line['eventHash']):
            return f'entry {line["sequenceNum"]} does not continue the chain: computed {computed}'
        event, link, proven = line['eventHash'], computed, proven + (line['kind'] == 'entry')
    if line['kind'] != 'checkpoint' or next(lines, None) is not None:
        raise ValueError('the checkpoint is not the last line')
    size, signed_root = line['note'].split('\n')[1:3]
    root = root_from_proof(f'{host} {sequence} {link}'.encode(), line['leafIndex'], int(size), line['proof'])
    if root != signed_root or root != (trusted_root or root):
        return f'the head of the chain leads to the root {root}, not to {trusted_root or signed_root}'
    print(f'{proven} entries of host {host} lead to the root {root}; the signature was not checked')

def main():
    try:
        with open(sys.argv[1], encoding='utf-8', newline='\n') as bundle:
            problem = verify(iter(bundle), sys.argv[2] if len(sys.argv) > 2 else None)
    except (OSError, LookupError, ValueError, TypeError, StopIteration, UnboundLocalError, RecursionError) as error:
        return print(f'cannot be read: {error!r}', file=sys.stderr) or exits.append(2)
    return exits.append(1 if problem and not print(problem, file=sys.stderr) else 0)

if __name__ == '__main__':
    exits = []
    sys.setrecursionlimit(100_000)  # PostgreSQL takes JSON of several thousand levels.
    threading.stack_size(512 * 1024 * 1024)
    thread = threading.Thread(target=main)
    thread.start()
    thread.join()
    sys.exit(exits[0] if exits else 2)
