#!/usr/bin/env python3
"""Verifies an evidence bundle by docs/audit-chain.md alone: python3 verify_audit_chain.py FILE [ROOT_HASH]

An implementation apart from the library, with Python's standard library only. It recomputes every link hash and the
inclusion proof. It cannot check the Ed25519 signature, so compare the root hash that it prints with one you trust, or
give it as ROOT_HASH (Base64). Exit code 0: the entries lead to the root; 1: they do not; 2: the bundle cannot be read."""
import base64
import hashlib
import json
import struct
import sys


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


def refuse(constant):
    raise ValueError(f'{constant} is no JSON')


def digest_of_payload(text):
    value = json.loads(text, parse_int=Number, parse_float=Number, parse_constant=refuse)
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
    if (header['format'], header['formatVersion']) != ('tripwire-storage/audit-evidence', 1):
        raise ValueError('this is no evidence bundle of version 1')
    host, sequence = header['hostId'], int(header['previous']['sequenceNum'])
    event, link, proven = header['previous']['eventHash'], header['previous']['linkHash'], 0
    for text in lines:
        line = json.loads(text)
        if line['kind'] == 'checkpoint':
            break
        sequence += 1
        payload_digest = line['payloadSha256'] if line['kind'] == 'context' else digest_of_payload(line['payload'])
        computed = link_hash(host, line, link, payload_digest)
        if line['sequenceNum'] != str(sequence) or line['prevHash'] != event or computed != (line['rowHash'] or line['eventHash']):
            return f'entry {line["sequenceNum"]} does not continue the chain: computed {computed}'
        event, link, proven = line['eventHash'], computed, proven + (line['kind'] == 'entry')
    size, signed_root = line['note'].split('\n')[1:3]
    root = root_from_proof(f'{host} {sequence} {link}'.encode(), line['leafIndex'], int(size), line['proof'])
    if root != signed_root or root != (trusted_root or root):
        return f'the head of the chain leads to the root {root}, not to {trusted_root or signed_root}'
    print(f'{proven} entries of host {host} lead to the root {root}; the signature was not checked')


if __name__ == '__main__':
    try:
        with open(sys.argv[1], encoding='utf-8', newline='\n') as bundle:
            problem = verify(iter(bundle), sys.argv[2] if len(sys.argv) > 2 else None)
    except (OSError, LookupError, ValueError, TypeError, StopIteration, UnboundLocalError, RecursionError) as error:
        sys.exit((print(f'cannot be read: {error!r}', file=sys.stderr), 2)[1])
    sys.exit(problem and (print(problem, file=sys.stderr), 1)[1])
