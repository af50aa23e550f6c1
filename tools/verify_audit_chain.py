#!/usr/bin/env python3
"""Verifies an evidence bundle by docs/audit-chain.md alone: python3 verify_audit_chain.py FILE [ROOT_HASH]

Apart from the library, with the standard library only. It recomputes every link hash and the inclusion proof, but cannot check the
signature: give the ROOT_HASH (Base64) that you trust. Exit code 0: they lead to it; 1: they do not; 2: unreadable, or not protected."""
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
    return hashlib.sha256(canonical(json.loads(text, parse_int=Number, parse_float=Number)).encode()).hexdigest()

def link_hash(host, entry, previous_link, payload_digest):
    if entry['hashVersion'] == 0:
        return hashlib.sha256(b'tripwire-storage/audit-entry/v0\n' + entry['eventHash'].encode()).hexdigest()
    given = '' if entry['rowHash'] is None else entry['eventHash']
    fields = (host, entry['sequenceNum'], entry['entryId'], entry['createdAt'], entry['prevHash'], previous_link, given, payload_digest)
    preimage = b''.join(struct.pack('>I', len(field.encode())) + field.encode() for field in fields)
    return hashlib.sha256(b'tripwire-storage/audit-entry/v1\n' + preimage).hexdigest()

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
    event, link, may_follow, counts, version = header['previous']['eventHash'], header['previous']['linkHash'], ('entry',), [0, 0], 0
    for text in lines:
        line = json.loads(text)
        if line['kind'] not in may_follow:
            raise ValueError(f'a line of kind {line["kind"]} stands where {may_follow} may')
        if line['kind'] == 'checkpoint':
            break
        may_follow = ('context', 'checkpoint') if line['kind'] == 'context' else ('entry', 'context', 'checkpoint')
        sequence += 1
        computed = link_hash(host, line, link, line['payloadSha256'] if line['kind'] == 'context' else digest_of_payload(line['payload']))
        is_linked = computed == (line['rowHash'] or line['eventHash']) if line['hashVersion'] else version == 0 and line['rowHash'] is None
        if line['sequenceNum'] != str(sequence) or line['prevHash'] != event or not is_linked:
            return 1, f'entry {line["sequenceNum"]} does not continue the chain: computed {computed}'
        event, link, version = line['eventHash'], computed, (0, 1)[line['hashVersion']]
        counts[version] += line['kind'] == 'entry'
    if line['kind'] != 'checkpoint' or next(lines, None) is not None:
        raise ValueError('the checkpoint is not the last line')
    size, signed_root = line['note'].split('\n')[1:3]
    root = root_from_proof(f'{host} {sequence} {link}'.encode(), line['leafIndex'], int(size), line['proof'])
    if root != signed_root or root != (trusted_root or root):
        return 1, f'the head of the chain leads to the root {root}, not to {trusted_root or signed_root}'
    unprotected = f'; {counts[0]} before them were not protected' if counts[0] else ''
    return 2 if counts[0] else 0, f'{counts[1]} entries of host {host} lead to the root {root}{unprotected}; the signature was not checked'

def main():
    try:
        with open(sys.argv[1], encoding='utf-8', newline='\n') as bundle:
            code, text = verify(iter(bundle), sys.argv[2] if len(sys.argv) > 2 else None)
    except (OSError, LookupError, ValueError, TypeError, StopIteration, UnboundLocalError, RecursionError) as error:
        code, text = 2, f'cannot be read: {error!r}'
    print(text, file=sys.stderr if code else sys.stdout)
    exits.append(code)

if __name__ == '__main__':
    exits = []
    sys.setrecursionlimit(100_000)  # PostgreSQL takes JSON of several thousand levels.
    threading.stack_size(512 * 1024 * 1024)
    thread = threading.Thread(target=main)
    thread.start()
    thread.join()
    sys.exit(exits[0] if exits else 2)
