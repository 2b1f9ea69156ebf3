// What agent_app.py is, in Node: a consumer as a user would write it with integrations/node.
'use strict';

const fs = require('node:fs');
const path = require('node:path');
const { parseArgs } = require('node:util');
const { Consumer } = require(path.join(__dirname, '..', '..', 'integrations', 'node', 'baton_lifecycle.js'));

const { values: options } = parseArgs({ options: {
    out: { type: 'string' }, hold: { type: 'string' }, color: { type: 'string' }, port: { type: 'string' },
    topic: { type: 'string', multiple: true }, X: { type: 'string', short: 'X', multiple: true },
} });
const out = fs.openSync(options.out, 'a');
const config = Object.fromEntries(options.X.map((x) => x.split(/=(.*)/s, 2)));
const consumer = new Consumer(config, options.topic, { port: Number(options.port) });
process.on('SIGTERM', async () => {
    await consumer.close();
    process.exit(0);
});

(async () => {
    for await (const m of consumer) {
        while (fs.existsSync(options.hold)) await new Promise((resolve) => { setTimeout(resolve, 2); });
        const us = BigInt(Date.now()) * 1000n;
        fs.writeSync(out, `${m.partition} ${m.offset} ${String(m.value).split(' ')[0]} ${consumer.epoch(m)} ${options.color} ${us} ${m.topic}\n`);
        consumer.done(m);
    }
    // It has left, and serves its document until it is ended.
})();
