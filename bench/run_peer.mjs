// The same work twice in Node: by hand with @confluentinc/kafka-javascript (or kafkajs), and as the command of `baton run`.
//
//     node run_peer.mjs client                             which client is there
//     node run_peer.mjs each|batch BOOTSTRAP TOPIC COUNT TURN   by hand; NODE_FOLDER names where the client is installed
//     node run_peer.mjs run COUNT                          batches from stdin
//
// See run_peer.py for the work and what is told at the end.
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';

const sums = new Map();
let began = 0n, seen = 0;

function work(order) {
    if (!seen) began = process.hrtime.bigint();
    seen++;
    sums.set(order.customer, (sums.get(order.customer) ?? 0) + order.amount);
}

function tell() {
    const { user, system } = process.resourceUsage ? { user: process.cpuUsage().user, system: process.cpuUsage().system } : {};
    let sum = 0;
    for (const amount of sums.values()) sum += amount;
    console.error(JSON.stringify({ seconds: Number(process.hrtime.bigint() - began) / 1e9, records: seen, sum, cpu: (user + system) / 1e6 }));
}

const load = createRequire((process.env.NODE_FOLDER ?? '.') + '/');

function confluent() {
    try { return load('@confluentinc/kafka-javascript').KafkaJS; } catch { return null; }
}

// kafkajs, whose interface the other one has as well, where that could not be installed (scripts/peers.sh).
function consumerOf(bootstrap, groupId) {
    const { Kafka, logLevel } = confluent() ?? load('kafkajs');
    const client = { brokers: [bootstrap], logLevel: logLevel.NOTHING };
    return confluent() ? new Kafka({ kafkaJS: client }).consumer({ kafkaJS: { groupId, fromBeginning: true } })
        : new Kafka(client).consumer({ groupId });
}

async function byHand(how, bootstrap, topic, count, turn) {
    const consumer = consumerOf(bootstrap, `${topic}-node-${how}-${turn}`);
    let finish;
    const finished = new Promise((resolve) => { finish = resolve; });
    const one = (message) => {
        work(JSON.parse(message.value));
        if (seen === count) { tell(); finish(); }
    };
    await consumer.connect();
    await consumer.subscribe(confluent() ? { topics: [topic] } : { topics: [topic], fromBeginning: true });
    await consumer.run(how === 'each' ? { eachMessage: async ({ message }) => one(message) }
        : { eachBatch: async ({ batch }) => { for (const message of batch.messages) one(message); } });
    await finished;
    await consumer.disconnect();
}

async function run(count) {
    for await (const line of createInterface({ input: process.stdin })) {
        const batch = JSON.parse(line);
        for (const record of batch.records) work(record.value);
        process.stdout.write(`${batch.id}\n`);
        if (seen === count) tell();
    }
}

const [what, ...args] = process.argv.slice(2);
if (what === 'client') console.log(confluent() ? 'kafka-javascript' : 'kafkajs');
else if (what === 'run') await run(Number(args[0]));
else await byHand(what, args[0], args[1], Number(args[2]), args[3]);
