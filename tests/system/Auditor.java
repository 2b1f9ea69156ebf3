/*
 * Auditor - says whether a fleet lost or repeated anything, and trusts nothing that Baton says.
 *
 * It reads two things: the input topic itself, with Kafka's own client, and the files in which each worker wrote down
 * every record it processed, before it told anyone that it was done. From these two alone it counts
 *
 *     lost                 in the topic and in no file
 *     repeated_across      processed by both colors, or by one color before and after the other had worked
 *     repeated_unlisted    of these, the ones that no receipt names ([from, to) of that partition)
 *     repeated_within      processed twice by one color, the other having done nothing in between (a pause may have been):
 *                          Kafka's own at-least-once, counted apart
 *     out_of_order         first processed after a later record of its partition (workers of one thread only)
 *     overlaps             processed under an old grant after the first record of a newer one (one holder at a time);
 *                          overlaps_unlisted without those a receipt names and those of overlaps_asleep, whose process
 *                          the test itself had frozen: what it had in its hands it writes down when it wakes
 *     strange              lines about records that are not in the topic, or that carry another number
 *     short_topic          records the broker acknowledged to the producer that the topic does not have
 *
 * and, from the workers' own clocks, how long each partition stood still at each change of color, and at each change
 * of the worker. Receipts come in only as lists of what may have been repeated; nothing else in them is believed.
 *
 * A worker's line:  partition offset number epoch color unix_us topic        ("#" starts a remark)
 *
 *     java -cp 'lib/*' Auditor.java --bootstrap HOST:PORT --topic T [--topic U] [--receipt R.json]...
 *          [--acknowledged producer.json] [--asleep FILE:FROM_UNIX_US:TO_UNIX_US]... [--unordered] [--runs] [--handovers] [--latency] FILE...
 *
 * --runs is for applications that know no epoch: what one color did of a partition until the other began stands for a grant,
 * so two at work at once show as more changes of color (standstill_ms.count) than were ordered, and the caller compares the two.
 *
 * One JSON object on stdout. Exit 0: the audit was made, whatever it found; 1: it could not be made.
 */
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.PartitionInfo;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

public final class Auditor {
    private static final int EXAMPLES_MAX = 10;
    private static final ObjectMapper JSON = new ObjectMapper();
    private static final Set<String> REPEATS = Set.of("possibly_repeated", "replayed");

    /* What the topic holds of one partition: the number in each record's payload, by offset. */
    private static final class Input {
        long start;
        long end;
        long[] number = new long[0];    /* -1: no record at that offset (markers, compaction) */
        long[] producedUs = new long[0]; /* when the producer made it, 0: not said */
        long count;

        void put(long offset, long value, long us) {
            int at = (int) (offset - start);
            if (at >= number.length) {
                int room = Math.max(at + 1, Math.max(1024, number.length * 2));
                int had = number.length;
                number = Arrays.copyOf(number, room);
                producedUs = Arrays.copyOf(producedUs, room);
                Arrays.fill(number, had, room, -1);
            }
            number[at] = value;
            producedUs[at] = us;
            count++;
        }

        long numberAt(long offset) {
            long at = offset - start;
            return at < 0 || at >= number.length ? -1 : number[(int) at];
        }

        long producedAt(long offset) {
            long at = offset - start;
            return at < 0 || at >= number.length ? 0 : producedUs[(int) at];
        }
    }

    /* What the workers wrote about one partition, one entry a line. */
    private static final class Work {
        int count;
        long[] offset = new long[1024];
        long[] epoch = new long[1024];
        long[] us = new long[1024];
        int[] file = new int[1024];
        boolean[] green = new boolean[1024];

        void add(long o, long e, boolean g, long t, int f) {
            if (count == offset.length) {
                int room = count * 2;
                offset = Arrays.copyOf(offset, room);
                epoch = Arrays.copyOf(epoch, room);
                us = Arrays.copyOf(us, room);
                file = Arrays.copyOf(file, room);
                green = Arrays.copyOf(green, room);
            }
            offset[count] = o;
            epoch[count] = e;
            us[count] = t;
            file[count] = f;
            green[count] = g;
            count++;
        }

        /* Line indexes in order of time; lines of one file keep their order. */
        Integer[] byTime() {
            Integer[] order = new Integer[count];
            for (int i = 0; i < count; i++)
                order[i] = i;
            Arrays.sort(order, (a, b) -> us[a] != us[b] ? Long.compare(us[a], us[b]) : Integer.compare(a, b));
            return order;
        }

        /* Each run of one color, in order of time, under an epoch of its own. */
        void numberRuns() {
            long run = 0;
            int before = -1;
            for (Integer i : byTime()) {
                if (before >= 0 && green[before] != green[i])
                    run++;
                epoch[i] = run;
                before = i;
            }
        }

        String tell(int i) {
            return (green[i] ? "green" : "blue") + " epoch " + epoch[i] + " at " + us[i] + " in file " + file[i];
        }
    }

    private record Range(long from, long to) { }
    private record Sleep(String file, long from, long to) { }

    private final Map<TopicPartition, Input> inputs = new HashMap<>();
    private final Map<TopicPartition, Work> works = new HashMap<>();
    private final Map<TopicPartition, List<Range>> listed = new HashMap<>();
    private final List<String> topics = new ArrayList<>();
    private final List<Path> files = new ArrayList<>();
    private final List<Path> receipts = new ArrayList<>();
    private final List<Sleep> sleeps = new ArrayList<>();
    private Path acknowledged;
    private String bootstrap;
    private boolean ordered = true;
    private boolean runs;
    private boolean handovers;
    private boolean latency;

    private long lines, strange, torn, lost, across, acrossUnlisted, within, outOfOrder, overlaps, overlapsUnlisted, shortTopic;
    private long overlapsAsleep, listedTotal;
    private final ArrayNode examples = JSON.createArrayNode();

    private void example(String what, TopicPartition tp, long offset, String how) {
        int same = 0;
        for (JsonNode e : examples)
            if (e.get("what").asText().equals(what))
                same++;
        if (same >= EXAMPLES_MAX)
            return;
        ObjectNode e = examples.addObject();
        e.put("what", what).put("topic", tp.topic()).put("partition", tp.partition()).put("offset", offset);
        e.put("how", how);
    }

    private boolean isListed(TopicPartition tp, long offset) {
        for (Range r : listed.getOrDefault(tp, List.of()))
            if (offset >= r.from && offset < r.to)
                return true;
        return false;
    }

    private boolean wasAsleep(Work w, int i) {
        String file = files.get(w.file[i]).toString();
        for (Sleep s : sleeps)
            if (s.file.equals(file) && w.us[i] >= s.from && w.us[i] <= s.to)
                return true;
        return false;
    }

    /* Every partition of the topics from its first record to the end it has now. */
    private void readTopics() {
        Properties p = new Properties();
        p.put("bootstrap.servers", bootstrap);
        p.put("isolation.level", "read_uncommitted");
        p.put("enable.auto.commit", "false");
        p.put("auto.offset.reset", "none");
        p.put("allow.auto.create.topics", "false");
        p.put("max.poll.records", "20000");
        p.put("fetch.max.bytes", "16777216");
        try (KafkaConsumer<byte[], byte[]> c =
                 new KafkaConsumer<>(p, new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
            Collection<TopicPartition> all = new ArrayList<>();
            for (String t : topics)
                for (PartitionInfo i : c.partitionsFor(t, Duration.ofSeconds(30)))
                    all.add(new TopicPartition(t, i.partition()));
            Map<TopicPartition, Long> starts = c.beginningOffsets(all, Duration.ofSeconds(60));
            Map<TopicPartition, Long> ends = c.endOffsets(all, Duration.ofSeconds(60));
            for (TopicPartition tp : all) {
                Input in = new Input();
                in.start = starts.get(tp);
                in.end = ends.get(tp);
                inputs.put(tp, in);
            }
            c.assign(all);
            c.seekToBeginning(all);
            long lastProgress = System.nanoTime();
            Map<TopicPartition, Long> before = new HashMap<>();
            for (;;) {
                boolean done = true;
                for (TopicPartition tp : all) {
                    long at = c.position(tp, Duration.ofSeconds(60));
                    if (at < inputs.get(tp).end)
                        done = false;
                    Long was = before.put(tp, at);
                    if (was == null || was != at)
                        lastProgress = System.nanoTime();
                }
                if (done)
                    return;
                if (System.nanoTime() - lastProgress > 60_000_000_000L)
                    throw new IllegalStateException("the topic cannot be read to its end: no progress for 60 s");
                for (ConsumerRecord<byte[], byte[]> r : c.poll(Duration.ofMillis(500))) {
                    Input in = inputs.get(new TopicPartition(r.topic(), r.partition()));
                    if (r.offset() >= in.end)
                        continue;
                    String[] words = new String(r.value(), StandardCharsets.US_ASCII).split(" ");
                    in.put(r.offset(), Long.parseLong(words[0]), words.length > 1 ? Long.parseLong(words[1]) : 0);
                }
            }
        }
    }

    private void readLine(String line, int file) {
        String[] w = line.split(" ");
        if (w.length < 7 || !(w[4].equals("blue") || w[4].equals("green"))) {
            strange++;
            if (strange <= EXAMPLES_MAX)
                examples.addObject().put("what", "strange").put("how", "not a worker's line: '" + line + "'");
            return;
        }
        TopicPartition tp = new TopicPartition(w[6], Integer.parseInt(w[0]));
        long offset = Long.parseLong(w[1]);
        long number = Long.parseLong(w[2]);
        Input in = inputs.get(tp);
        lines++;
        if (in == null || in.numberAt(offset) != number) {
            strange++;
            example("strange", tp, offset, in == null ? "no such partition was read" : "the worker says number " + number
                    + ", the topic " + in.numberAt(offset));
            return;
        }
        works.computeIfAbsent(tp, k -> new Work())
            .add(offset, Long.parseLong(w[3]), w[4].equals("green"), Long.parseLong(w[5]), file);
    }

    private void readFile(Path path, int file) throws IOException {
        StringBuilder line = new StringBuilder(96);
        try (InputStream in = new BufferedInputStream(Files.newInputStream(path), 1 << 16)) {
            for (int b = in.read(); b >= 0; b = in.read()) {
                if (b != '\n') {
                    line.append((char) b);
                    continue;
                }
                if (line.length() > 0 && line.charAt(0) != '#')
                    readLine(line.toString(), file);
                line.setLength(0);
            }
        }
        if (line.length() > 0)
            torn++; /* a kill in the middle of a write: such a line proves nothing */
    }

    private void list(TopicPartition tp, JsonNode from, JsonNode to) {
        if (from == null || to == null || !from.isIntegralNumber() || !to.isIntegralNumber() || to.asLong() <= from.asLong())
            return;
        listed.computeIfAbsent(tp, k -> new ArrayList<>()).add(new Range(from.asLong(), to.asLong()));
        listedTotal += to.asLong() - from.asLong();
    }

    /*
     * What a receipt says may have been repeated: below a topic and a partition, ranges {"from": a, "to": b} under one of
     * the names in REPEATS stand for [a, b).
     */
    private void readReceipt(JsonNode n, String topic, int partition, boolean inRepeats) {
        if (n.isObject()) {
            JsonNode t = n.get("topic");
            JsonNode p = n.get("partition");
            String topicHere = t != null && t.isTextual() ? t.asText() : topic;
            int partitionHere = p != null && p.isIntegralNumber() ? p.asInt() : partition;
            if (inRepeats && topicHere != null && partitionHere >= 0)
                list(new TopicPartition(topicHere, partitionHere), n.get("from"), n.get("to"));
            n.properties().forEach(e -> readReceipt(e.getValue(), topicHere, partitionHere,
                inRepeats || REPEATS.contains(e.getKey())));
        } else if (n.isArray()) {
            n.forEach(e -> readReceipt(e, topic, partition, inRepeats));
        }
    }

    private void judgeRecords(TopicPartition tp, Input in, Work w) {
        int room = (int) (in.end - in.start);
        int[] first = new int[room]; /* line + 1 of the first that processed it */
        Integer[] order = w.byTime();
        long highest = Long.MIN_VALUE;
        List<TreeSet<Long>> epochs = List.of(new TreeSet<>(), new TreeSet<>()); /* under which blue, and green, worked */

        for (int i = 0; i < w.count; i++)
            epochs.get(w.green[i] ? 1 : 0).add(w.epoch[i]);
        for (Integer i : order) {
            int at = (int) (w.offset[i] - in.start);
            if (first[at] == 0) {
                first[at] = i + 1;
                if (ordered && w.offset[i] < highest) {
                    outOfOrder++;
                    example("out_of_order", tp, w.offset[i], w.tell(i) + ", after " + highest);
                }
                highest = Math.max(highest, w.offset[i]);
                continue;
            }
            int f = first[at] - 1;
            Long between = epochs.get(w.green[i] ? 0 : 1).higher(Math.min(w.epoch[f], w.epoch[i]));
            if (w.green[f] == w.green[i] && (between == null || between > Math.max(w.epoch[f], w.epoch[i]))) {
                within++;
                continue;
            }
            across++;
            if (!isListed(tp, w.offset[i])) {
                acrossUnlisted++;
                example("repeated_unlisted", tp, w.offset[i], w.tell(f) + ", again by " + w.tell(i));
            }
        }
        for (long o = in.start; o < in.end; o++)
            if (in.numberAt(o) >= 0 && first[(int) (o - in.start)] == 0) {
                lost++;
                example("lost", tp, o, "number " + in.numberAt(o) + " is in no worker's file");
            }
    }

    /* One grant of one partition as the workers saw it. */
    private static final class Grant {
        boolean green;
        long firstUs = Long.MAX_VALUE, lastUs = Long.MIN_VALUE;
        long firstOffset = -1, lastOffset = -1;
    }

    private void judgeGrants(TopicPartition tp, Work w, ArrayNode ret, List<Long> standstills) {
        TreeMap<Long, Grant> grants = new TreeMap<>(); /* by 2 * epoch + color: two colors under one epoch stand apart */

        for (int i = 0; i < w.count; i++) {
            Grant g = grants.computeIfAbsent(w.epoch[i] * 2 + (w.green[i] ? 1 : 0), k -> new Grant());
            g.green = w.green[i];
            if (w.us[i] < g.firstUs) {
                g.firstUs = w.us[i];
                g.firstOffset = w.offset[i];
            }
            if (w.us[i] >= g.lastUs) {
                g.lastUs = w.us[i];
                g.lastOffset = w.offset[i];
            }
        }
        for (int i = 0; i < w.count; i++) {
            long key = w.epoch[i] * 2 + (w.green[i] ? 1 : 0);
            Map.Entry<Long, Grant> next = grants.higherEntry(key);
            while (next != null && next.getValue().firstUs > w.us[i])
                next = grants.higherEntry(next.getKey());
            if (next == null)
                continue;
            overlaps++;
            if (wasAsleep(w, i)) {
                overlapsAsleep++;
            } else if (!isListed(tp, w.offset[i])) {
                overlapsUnlisted++;
                example("overlap", tp, w.offset[i], w.tell(i) + ", but " + (next.getValue().green ? "green" : "blue") + " epoch "
                    + next.getKey() / 2 + " had begun at " + next.getValue().firstUs);
            }
        }
        Grant before = null;
        for (Map.Entry<Long, Grant> e : grants.entrySet()) {
            Grant g = e.getValue();
            if (before != null && before.green != g.green) {
                standstills.add(g.firstUs - before.lastUs);
                if (handovers) {
                    ObjectNode h = ret.addObject();
                    h.put("topic", tp.topic()).put("partition", tp.partition()).put("epoch", e.getKey() / 2);
                    h.put("to", g.green ? "green" : "blue").put("last_us", before.lastUs).put("first_us", g.firstUs);
                    h.put("last_offset", before.lastOffset).put("first_offset", g.firstOffset);
                    h.put("first_produced_us", inputs.get(tp).producedAt(g.firstOffset));
                    h.put("standstill_us", g.firstUs - before.lastUs);
                }
            }
            before = g;
        }
    }

    /* Gaps at each change of the worker, whatever its color: the ruler by which other ways are measured too. */
    private void judgeOwners(TopicPartition tp, Work w, ArrayNode ret, List<Long> gaps) {
        int before = -1;
        for (Integer i : w.byTime()) {
            if (before >= 0 && w.file[before] != w.file[i]) {
                gaps.add(w.us[i] - w.us[before]);
                if (handovers)
                    ret.addObject().put("topic", tp.topic()).put("partition", tp.partition()).put("from_file", w.file[before])
                        .put("to_file", w.file[i]).put("last_us", w.us[before]).put("gap_us", w.us[i] - w.us[before]);
            }
            before = i;
        }
    }

    private static double ms(List<Long> sorted, double share) {
        int at = (int) Math.ceil(share * sorted.size()) - 1;
        return sorted.get(Math.max(0, Math.min(sorted.size() - 1, at))) / 1000.0;
    }

    private static void spread(ObjectNode ret, String name, List<Long> us) {
        ObjectNode o = ret.putObject(name);
        us.sort(null);
        o.put("count", us.size());
        if (us.isEmpty())
            return;
        o.put("p50", ms(us, 0.50)).put("p95", ms(us, 0.95)).put("p99", ms(us, 0.99)).put("max", ms(us, 1));
        o.put("sum", us.stream().mapToLong(Long::longValue).sum() / 1000.0);
    }

    private void readAcknowledged() throws IOException {
        JsonNode said = JSON.readTree(acknowledged.toFile());
        said.get("acknowledged").properties().forEach(e -> {
            TopicPartition tp = new TopicPartition(said.get("topic").asText(), Integer.parseInt(e.getKey()));
            Input in = inputs.get(tp);
            long has = in == null ? 0 : in.count;
            if (has < e.getValue().asLong()) {
                shortTopic += e.getValue().asLong() - has;
                example("short_topic", tp, -1, "acknowledged " + e.getValue().asLong() + ", the topic has " + has);
            }
        });
    }

    private ObjectNode audit() throws IOException {
        ObjectNode ret = JSON.createObjectNode();
        ArrayNode passes = JSON.createArrayNode();
        ArrayNode moves = JSON.createArrayNode();
        List<Long> standstills = new ArrayList<>();
        List<Long> gaps = new ArrayList<>();
        long produced = 0;

        readTopics();
        for (int i = 0; i < files.size(); i++)
            readFile(files.get(i), i);
        for (Path r : receipts)
            readReceipt(JSON.readTree(r.toFile()), null, -1, false);
        if (acknowledged != null)
            readAcknowledged();
        for (Map.Entry<TopicPartition, Input> e : inputs.entrySet()) {
            Work w = works.getOrDefault(e.getKey(), new Work());
            produced += e.getValue().count;
            if (runs)
                w.numberRuns();
            judgeRecords(e.getKey(), e.getValue(), w);
            judgeGrants(e.getKey(), w, passes, standstills);
            judgeOwners(e.getKey(), w, moves, gaps);
        }
        ret.put("produced", produced).put("lines", lines).put("files", files.size()).put("lost", lost);
        ret.put("repeated_across", across).put("repeated_unlisted", acrossUnlisted).put("repeated_within", within);
        ret.put("listed", listedTotal);
        if (ordered)
            ret.put("out_of_order", outOfOrder);
        else
            ret.putNull("out_of_order");
        ret.put("overlaps", overlaps).put("overlaps_unlisted", overlapsUnlisted).put("overlaps_asleep", overlapsAsleep);
        ret.put("strange", strange).put("torn", torn).put("short_topic", shortTopic);
        spread(ret, "standstill_ms", standstills);
        spread(ret, "owner_change_ms", gaps);
        if (latency) {
            List<Long> late = new ArrayList<>();
            works.forEach((tp, w) -> {
                for (int i = 0; i < w.count; i++)
                    if (inputs.get(tp).producedAt(w.offset[i]) > 0)
                        late.add(w.us[i] - inputs.get(tp).producedAt(w.offset[i]));
            });
            spread(ret, "latency_ms", late);
        }
        if (handovers) {
            ret.set("handovers", passes);
            ret.set("owner_changes", moves);
        }
        ret.set("examples", examples);
        return ret;
    }

    private static String value(String[] args, int at) {
        if (at >= args.length)
            throw new IllegalArgumentException(args[at - 1] + " wants a value");
        return args[at];
    }

    private static Sleep sleep(String text) {
        int to = text.lastIndexOf(':');
        int from = text.lastIndexOf(':', to - 1);
        return new Sleep(text.substring(0, from), Long.parseLong(text.substring(from + 1, to)), Long.parseLong(text.substring(to + 1)));
    }

    private void options(String[] args) {
        for (int i = 0; i < args.length; i++)
            switch (args[i]) {
                case "--bootstrap" -> bootstrap = value(args, ++i);
                case "--topic" -> topics.add(value(args, ++i));
                case "--receipt" -> receipts.add(Path.of(value(args, ++i)));
                case "--acknowledged" -> acknowledged = Path.of(value(args, ++i));
                case "--asleep" -> sleeps.add(sleep(value(args, ++i)));
                case "--unordered" -> ordered = false;
                case "--runs" -> runs = true;
                case "--handovers" -> handovers = true;
                case "--latency" -> latency = true;
                default -> {
                    if (args[i].startsWith("--"))
                        throw new IllegalArgumentException("unknown option " + args[i]);
                    files.add(Path.of(args[i]));
                }
            }
        if (bootstrap == null || topics.isEmpty())
            throw new IllegalArgumentException("--bootstrap HOST:PORT and at least one --topic are needed");
    }

    public static void main(String[] args) {
        Auditor a = new Auditor();
        try {
            a.options(args);
            System.out.println(JSON.writeValueAsString(a.audit()));
        } catch (Exception e) {
            System.err.println("auditor: " + e);
            System.exit(1);
        }
    }
}
