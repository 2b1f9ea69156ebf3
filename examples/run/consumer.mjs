// consumer - a whole consumer in Node: a line in, an acknowledgement out.
//
//     baton run payments --color blue -- node consumer.mjs
import { createInterface } from 'node:readline';

async function work(record) {
    if (record.value === null) return; // a tombstone: the key was deleted
    console.error(record.partition, record.offset, record.value); // stdout is for acknowledgements
}

for await (const line of createInterface({ input: process.stdin })) {
    const record = JSON.parse(line);
    try {
        await work(record);
        process.stdout.write(`${record.id}\n`);
    } catch (e) {
        process.stdout.write(JSON.stringify({ id: record.id, error: String(e) }) + '\n');
    }
}
