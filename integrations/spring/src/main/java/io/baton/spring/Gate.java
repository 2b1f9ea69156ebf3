package io.baton.spring;

import java.lang.reflect.InvocationHandler;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Proxy;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.TimeUnit;

import org.apache.kafka.clients.consumer.Consumer;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.InvalidOffsetException;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.consumer.OffsetCommitCallback;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.MetricName;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.InterruptException;
import org.apache.kafka.common.errors.RecordDeserializationException;
import org.apache.kafka.common.errors.WakeupException;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A consumer with a gate before each partition. Whoever uses the consumer (a listener container of Spring Kafka or of Spring
 * Cloud Stream) notices nothing, but that records of a held partition do not come.
 *
 * The agent's PUT is only noted. The consumer's own thread acts on it at the entry of poll(), where the container has just
 * committed what it had finished; a poll is cut into slices of 10 ms, or 2 ms during a hand-over, so nobody need be woken. Kafka
 * knows one kind of pause: a partition flows if it runs here and the application has not paused it, and the application is shown
 * its own pauses alone. So no timer, retry or resume() of Spring's lifts a hold, and no hold's end lifts a pause of Spring's.
 *
 * While a partition stands ready, and the agent asks the brokers whether that is true, its first records are fetched ahead and kept
 * here: one poll's worth of all together, so that the container never gets more than it asked for.
 *
 * Every commit goes through here: it gets the agent's mark, those of a held or lost partition are dropped, and what Kafka has
 * accepted says what is still in flight. That is why transactions are refused: their offsets go another way.
 *
 * All but put() and observed() belongs to the consumer's thread; what it shares are volatile fields, each immutable. Only
 * the kafka-clients API is used, as it is in 3.9 and in 4.x.
 */
final class Gate implements InvocationHandler {

    private static final Logger log = LoggerFactory.getLogger(Gate.class);
    private static final Duration SLICE = Duration.ofMillis(10);
    private static final Duration SLICE_SOON = Duration.ofMillis(2); // while a hand-over goes on: one word follows the other
    private static final long SOON_NANOS = 100_000_000;
    private static final Duration COMMIT_MAX = Duration.ofSeconds(2);
    private static final long RETRY_NANOS = 100_000_000;

    final String instance = UUID.randomUUID().toString().replace("-", "");

    private final Consumer<Object, Object> consumer;
    private final Gates gates;
    private final Map<String, Object> config;

    private volatile Told told; // by the agent
    private volatile long toldNanos = System.nanoTime();
    private volatile Observed observed = new Observed("", "", "", "", false, false, 0, 0, List.of());
    private volatile boolean woken;
    private long acted; // the newest revision of which a whole turn was made; under the lock

    private boolean guarded; // it has subscribed: from here on it is a gate
    private final Map<TopicPartition, Valve> valves = new LinkedHashMap<>();
    private final List<Valve> former = new ArrayList<>(); // taken away, and the agent has not let go yet
    private final Map<Valve, List<ConsumerRecord<Object, Object>>> ahead = new LinkedHashMap<>(); // fetched, and not handed over
    private final Set<TopicPartition> pausedByApplication = new HashSet<>();
    private String group = "";
    private String memberId = "";
    private String clientId = "";
    private String assignor = "";
    private boolean joined;
    private boolean left;
    private volatile boolean closed;
    private long assignments;
    private long done;
    private long revision;
    private long retryNanos = System.nanoTime();

    private Gate(Consumer<Object, Object> consumer, Gates gates, Map<String, Object> config) {
        this.consumer = consumer;
        this.gates = gates;
        this.config = config;
    }

    /** The consumer behind a gate that closes when it subscribes. {@code config} is that of the consumer's factory. */
    @SuppressWarnings("unchecked")
    static <K, V> Consumer<K, V> before(Consumer<K, V> consumer, Gates gates, Map<String, Object> config) {
        return (Consumer<K, V>) Proxy.newProxyInstance(Gate.class.getClassLoader(), new Class<?>[] { Consumer.class },
                new Gate((Consumer<Object, Object>) consumer, gates, config));
    }

    // --- any thread ---------------------------------------------------------------------------------------------------

    /** Notes what the agent wants; null, or the sentence that refuses it. */
    synchronized String put(Told wanted) {
        Told last = told;
        if (!wanted.instance().equals(instance))
            return "this is instance " + instance + ", not " + wanted.instance();
        if (last != null && wanted.revision() < last.revision())
            return "revision " + last.revision() + " was told already, " + wanted.revision() + " is older";
        if (last != null && wanted.revision() == last.revision() && !wanted.agent().equals(last.agent()))
            return "revision " + last.revision() + " was told already by agent " + last.agent();
        if (last != null && (wanted.term() < last.term() || wanted.term() == last.term() && wanted.epoch() < last.epoch()))
            return "term " + last.term() + " epoch " + last.epoch() + " was told already, term " + wanted.term() + " epoch "
                    + wanted.epoch() + " is older";
        if (last == null || wanted.revision() > last.revision()) {
            told = wanted;
            toldNanos = System.nanoTime();
        }
        return null;
    }

    /**
     * Waits, but not long, until the consumer's thread has made a whole turn with this revision: it comes round every few
     * milliseconds, and an answer that tells what it did spares the agent another look. Answers whether it did.
     */
    synchronized boolean awaitTurn(long wanted, Duration longest) {
        long end = System.nanoTime() + longest.toNanos();
        try {
            for (long left = longest.toNanos(); acted < wanted && left > 0; left = end - System.nanoTime())
                TimeUnit.NANOSECONDS.timedWait(this, left);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
        return acted >= wanted;
    }

    private synchronized void turned(long made) {
        acted = made;
        notifyAll();
    }

    Observed observed() {
        return observed;
    }

    Map<String, Object> document() {
        Observed so = observed; // before what was told: an observed revision has been told
        return so.document(instance, told);
    }

    // --- the consumer, as the container sees it -----------------------------------------------------------------------

    @Override
    public Object invoke(Object proxy, Method method, Object[] args) throws Throwable {
        if (method.getName().equals("subscribe"))
            return subscribe(method, args);
        if (method.getName().equals("wakeup"))
            woken = true;
        if (!guarded)
            return call(method, args);
        return switch (method.getName()) {
            case "poll" -> poll(args[0] instanceof Duration timeout ? timeout : Duration.ofMillis((Long) args[0]));
            case "commitSync" -> commitSync(args);
            case "commitAsync" -> commitAsync(args);
            case "pause" -> pause((Collection<?>) args[0]);
            case "resume" -> resume((Collection<?>) args[0]);
            case "paused" -> paused();
            case "seek" -> seek(method, args);
            case "seekToBeginning" -> seekToBeginning((Collection<?>) args[0]);
            case "seekToEnd" -> seekToEnd((Collection<?>) args[0]);
            case "groupMetadata" -> throw new IllegalStateException(
                    "Baton does not support transactions: offsets that a producer commits are not seen by the Gate");
            case "unsubscribe", "close" -> leave(method, args);
            default -> call(method, args);
        };
    }

    private Object call(Method method, Object[] args) throws Throwable {
        try {
            return method.invoke(consumer, args);
        } catch (InvocationTargetException e) {
            throw e.getCause();
        }
    }

    private Object subscribe(Method method, Object[] args) throws Throwable {
        group = consumer.groupMetadata().groupId();
        if (!guarded && !gates.covers(group))
            return call(method, args);
        if (Boolean.parseBoolean(String.valueOf(config.get("enable.auto.commit"))))
            throw new IllegalStateException("Baton needs enable.auto.commit=false: the consumer of group " + group
                    + " would commit records that nobody has finished");
        ConsumerRebalanceListener theirs = args.length > 1 ? (ConsumerRebalanceListener) args[1] : new NoListener();
        Method listening = Consumer.class.getMethod("subscribe", method.getParameterTypes()[0], ConsumerRebalanceListener.class);
        clientId = consumer.metrics().keySet().stream().map(MetricName::tags).map(tags -> tags.getOrDefault("client-id", ""))
                .findFirst().orElse("");
        assignor = assignor();
        left = closed = false;
        publish();
        if (!guarded) {
            guarded = true;
            log.info("Baton holds what group {} assigns to consumer {}: /baton/v1/lifecycle/{}", group, clientId,
                    gates.add(this));
        }
        return call(listening, new Object[] { args[0], new Rebalances(theirs) });
    }

    private ConsumerRecords<Object, Object> poll(Duration timeout) {
        long end = System.nanoTime() + timeout.toNanos();
        do {
            act();
            if (left) {
                rest();
                continue;
            }
            long now = System.nanoTime();
            Duration rest = Duration.ofNanos(Math.max(0, end - now));
            Duration slice = now - toldNanos < SOON_NANOS ? SLICE_SOON : SLICE;
            ConsumerRecords<Object, Object> records = kept();
            if (records.isEmpty())
                records = fetch(rest.compareTo(slice) < 0 ? rest : slice);
            records = handOver(records);
            if (!records.isEmpty())
                return records;
        } while (System.nanoTime() < end && !(left && woken) && !draining());
        woken = false;
        return ConsumerRecords.empty();
    }

    /** Then the container gets its turn at once: with AckMode TIME or COUNT and with async acks it commits between two polls. */
    private boolean draining() {
        return valves.values().stream().anyMatch(valve -> !valve.running() && !valve.settled());
    }

    private static void rest() {
        try {
            Thread.sleep(SLICE.toMillis());
        } catch (InterruptedException e) {
            throw new InterruptException(e);
        }
    }

    /** What was fetched ahead of partitions that flow by now. */
    private ConsumerRecords<Object, Object> kept() {
        Map<TopicPartition, List<ConsumerRecord<Object, Object>>> kept = new LinkedHashMap<>();
        ahead.forEach((valve, records) -> {
            if (valve.flowing)
                kept.put(valve.partition, records);
        });
        ahead.keySet().removeIf(valve -> valve.flowing);
        return of(kept);
    }

    /** Kafka's poll. What fails in fetching ahead fails once more when the partition runs, and then the application hears it. */
    private ConsumerRecords<Object, Object> fetch(Duration slice) {
        try {
            return consumer.poll(slice);
        } catch (RecordDeserializationException e) {
            return failed(e, Set.of(e.topicPartition()));
        } catch (InvalidOffsetException e) {
            return failed(e, e.partitions());
        }
    }

    private ConsumerRecords<Object, Object> failed(KafkaException e, Set<TopicPartition> partitions) {
        List<Valve> ready = partitions.stream().map(valves::get).filter(valve -> valve != null && valve.starts()).toList();
        if (ready.size() < partitions.size())
            throw e;
        ready.forEach(valve -> valve.blind = true);
        return ConsumerRecords.empty();
    }

    /** What a held partition should not have given is put back where it was. Kafka gives nothing of the kind; we are sure. */
    private ConsumerRecords<Object, Object> handOver(ConsumerRecords<Object, Object> records) {
        Map<TopicPartition, List<ConsumerRecord<Object, Object>>> flowing = new LinkedHashMap<>();
        for (TopicPartition partition : records.partitions()) {
            Valve valve = valves.get(partition);
            List<ConsumerRecord<Object, Object>> list = records.records(partition);
            if (valve != null && valve.flowing) {
                valve.handOver(list);
                flowing.put(partition, list);
            } else if (valve != null && valve.starts()) {
                ahead.put(valve, list);
            } else {
                log.warn("Baton holds {}: records from {} on are put back", partition, list.get(0).offset());
                consumer.seek(partition, list.get(0).offset());
            }
        }
        if (!flowing.isEmpty())
            publish();
        return flowing.size() == records.partitions().size() ? records : of(flowing);
    }

    @SuppressWarnings("deprecation") // the one that is not is missing in 3.9
    private static ConsumerRecords<Object, Object> of(Map<TopicPartition, List<ConsumerRecord<Object, Object>>> records) {
        return new ConsumerRecords<>(records);
    }

    private Object pause(Collection<?> partitions) {
        for (Object partition : partitions)
            pausedByApplication.add((TopicPartition) partition);
        flow();
        return null;
    }

    private Object resume(Collection<?> partitions) {
        pausedByApplication.removeAll(partitions);
        flow();
        return null;
    }

    private Set<TopicPartition> paused() {
        Set<TopicPartition> paused = new HashSet<>(pausedByApplication);
        paused.retainAll(valves.keySet());
        return paused;
    }

    /** Error handlers go back to the record that failed. Behind what is committed nobody goes: that would be the agent's to say. */
    private Object seek(Method method, Object[] args) throws Throwable {
        Valve valve = valves.get(args[0]);
        long offset = args[1] instanceof OffsetAndMetadata at ? at.offset() : (Long) args[1];
        if (valve == null)
            return call(method, args);
        if (!valve.maySeek(offset)) {
            log.warn("Baton keeps {} where it is ({}): a seek to {} is ignored", args[0], valve.state(), offset);
            return null;
        }
        call(method, args);
        ahead.remove(valve);
        valve.seek(offset);
        publish();
        return null;
    }

    private Object seekToBeginning(Collection<?> partitions) {
        log.warn("Baton keeps {} where they are: a seek to the beginning is ignored", partitions);
        return null;
    }

    private Object seekToEnd(Collection<?> partitions) {
        log.warn("Baton keeps {} where they are: a seek to the end is ignored", partitions);
        return null;
    }

    private Object leave(Method method, Object[] args) throws Throwable {
        try {
            return call(method, args);
        } finally {
            closed |= method.getName().equals("close");
            gone();
        }
    }

    boolean isClosed() {
        return closed;
    }

    // --- commits ------------------------------------------------------------------------------------------------------

    /** A commit on its way: it is told to the valves when it was asked, whatever has become of the partitions since. */
    private final class Commit {

        final Map<TopicPartition, OffsetAndMetadata> offsets = new LinkedHashMap<>();
        private final List<Valve> of = new ArrayList<>();
        private final long nanos = System.nanoTime();

        void add(Valve valve, OffsetAndMetadata offset) {
            of.add(valve);
            offsets.put(valve.partition, offset);
        }

        void asked() {
            for (Valve valve : of)
                valve.asked(offsets.get(valve.partition).offset(), nanos);
        }

        void accepted() {
            for (Valve valve : of)
                done += valve.accepted(offsets.get(valve.partition), nanos);
            publish();
        }

        void failed(String why) {
            for (Valve valve : of)
                valve.trouble = why;
            publish();
        }

        /** Now; false when Kafka did not take it. */
        boolean sync() {
            if (offsets.isEmpty())
                return true;
            try {
                asked();
                commitSync(offsets, COMMIT_MAX);
                accepted();
                return true;
            } catch (KafkaException e) {
                retryNanos = System.nanoTime() + RETRY_NANOS;
                failed("Kafka did not take the commit: " + e.getMessage());
                return false;
            }
        }
    }

    /**
     * A wake-up is meant for a poll, and is given back for the next one. Containers take a commit that it ends for made (an
     * acknowledgement from another thread wakes, Spring Kafka tries twice), and the partition would drain for ever.
     */
    private void commitSync(Map<TopicPartition, OffsetAndMetadata> offsets, Duration timeout) {
        boolean woken = false;
        try {
            while (true)
                try {
                    if (timeout == null)
                        consumer.commitSync(offsets);
                    else
                        consumer.commitSync(offsets, timeout);
                    return;
                } catch (WakeupException e) {
                    woken = true;
                }
        } finally {
            if (woken)
                consumer.wakeup();
        }
    }

    /** What of the application's commit goes to Kafka. No map: all that was handed over. */
    private Commit commit(Object[] args) {
        Commit commit = new Commit();
        if (args != null && args.length > 0 && args[0] instanceof Map<?, ?> offsets) {
            offsets.forEach((partition, offset) -> {
                Valve valve = valves.get(partition);
                OffsetAndMetadata at = (OffsetAndMetadata) offset;
                if (valve != null && valve.mayCommit(at.offset()))
                    commit.add(valve, new OffsetAndMetadata(at.offset(), at.leaderEpoch(), valve.mark));
                else
                    log.debug("Baton dropped the commit of {} at {}", partition, at.offset());
            });
        } else {
            for (Valve valve : valves.values())
                if (valve.running() || !valve.settled())
                    commit.add(valve, valve.handedOver());
        }
        return commit;
    }

    private Object commitSync(Object[] args) {
        Commit commit = commit(args);
        if (commit.offsets.isEmpty())
            return null;
        commit.asked();
        commitSync(commit.offsets, args != null && args[args.length - 1] instanceof Duration timeout ? timeout : null);
        commit.accepted();
        return null;
    }

    private Object commitAsync(Object[] args) {
        Commit commit = commit(args);
        OffsetCommitCallback theirs = args != null && args[args.length - 1] instanceof OffsetCommitCallback callback
                ? callback : (offsets, e) -> { };
        if (commit.offsets.isEmpty()) {
            theirs.onComplete(Map.of(), null);
            return null;
        }
        commit.asked();
        consumer.commitAsync(commit.offsets, (offsets, e) -> {
            if (e == null)
                commit.accepted();
            theirs.onComplete(offsets, e);
        });
        return null;
    }

    // --- what the agent wants -----------------------------------------------------------------------------------------

    /** One turn: hold, finish, stand, run, in this order, so that what is to be held is held before anything else. */
    private void act() {
        Told now = told;
        long nanos = System.nanoTime();
        if (memberId.isEmpty())
            identify();
        for (Valve valve : valves.values())
            holdOrRun(valve, word(now, valve), now, nanos);
        flow();
        boolean fresh = now != null && now.revision() != revision;
        if (fresh) {
            former.removeIf(valve -> now.of(valve.partition, valve.assignment) == null);
            revision = now.revision();
            publish();
        }
        if (nanos - retryNanos >= 0 && settle())
            stand(now);
        signOfLife(now);
        if (now != null && now.leave() && !left && valves.values().stream().allMatch(Valve::settled))
            leave();
        if (fresh)
            turned(now.revision());
    }

    private void leave() {
        log.info("Baton: consumer {} leaves group {}, as it was told", clientId, group);
        consumer.unsubscribe(); // and not close(): the container goes on polling it
        gone();
    }

    private void gone() {
        for (Valve valve : List.copyOf(valves.values())) // Kafka has called the listener, unless it could not
            retire(valve);
        joined = false;
        left = true;
        publish();
    }

    private static Told.Word word(Told told, Valve valve) {
        return told == null || told.leave() ? null : told.of(valve.partition, valve.assignment);
    }

    private void holdOrRun(Valve valve, Told.Word word, Told now, long nanos) {
        Valve.State before = valve.state();
        String why = "";
        if (word == null || word.order() == Told.Order.HOLD) {
            valve.hold();
        } else if (word.order() == Told.Order.READY) {
            if (!valve.standsAt(word))
                valve.hold();
        } else if (valve.mayRun(word.epoch())) {
            valve.mark = word.metadata();
            if (!valve.running())
                valve.open();
            valve.fenced = valve.sinceCommitted(nanos) > now.fenceMs();
            if (valve.fenced)
                why = "Kafka has accepted no commit for " + now.fenceMs() + " ms";
        } else {
            valve.hold();
            why = "it is not made ready for epoch " + word.epoch();
        }
        if (before == valve.state() && why.equals(valve.why))
            return;
        valve.why = why;
        publish();
    }

    /** Opens and closes the client's own taps: a partition flows if it runs and the application has not paused it. */
    private void flow() {
        List<TopicPartition> open = new ArrayList<>();
        List<TopicPartition> shut = new ArrayList<>();
        ahead.keySet().removeIf(valve -> !valve.running() && !valve.ran() && !valve.starts()); // it will be made ready anew
        for (Valve valve : valves.values()) {
            boolean paused = pausedByApplication.contains(valve.partition);
            valve.flowing = valve.running() && !valve.fenced && !paused;
            boolean tap = valve.flowing || ahead.isEmpty() && !valve.blind && valve.starts() && !paused;
            if (tap != valve.tap)
                (tap ? open : shut).add(valve.partition);
            valve.tap = tap;
        }
        if (!shut.isEmpty())
            consumer.pause(shut);
        if (!open.isEmpty())
            consumer.resume(open);
    }

    /** Commits of what drains all that is finished, where nobody else does; false when Kafka did not take it. */
    private boolean settle() {
        Commit commit = new Commit();
        for (Valve valve : valves.values())
            if (valve.unsettled())
                commit.add(valve, valve.finished());
        return commit.sync();
    }

    private void stand(Told now) {
        Map<Valve, Told.Word> words = new LinkedHashMap<>();
        Map<TopicPartition, OffsetAndMetadata> offsets = new HashMap<>();
        for (Valve valve : valves.values()) {
            Told.Word word = word(now, valve);
            if (word == null || word.order() != Told.Order.READY || !valve.settled() || valve.standsAt(word))
                continue;
            words.put(valve, word);
            offsets.put(valve.partition, new OffsetAndMetadata(word.from(), word.metadata()));
        }
        if (words.isEmpty())
            return;
        long nanos = System.nanoTime();
        try {
            commitSync(offsets, COMMIT_MAX);
            words.forEach((valve, word) -> { // only now: until then it may be told to go on where it stopped
                consumer.seek(valve.partition, word.from());
                ahead.remove(valve);
                valve.stand(word, nanos);
            });
            flow();
        } catch (KafkaException e) {
            retryNanos = System.nanoTime() + RETRY_NANOS;
            words.keySet().forEach(valve -> valve.trouble = "Kafka did not take the commit: " + e.getMessage());
        }
        publish();
    }

    /** What runs is committed again and again, even where nothing moves: so the agent, and we, see that we are still its owner. */
    private void signOfLife(Told now) {
        Commit commit = new Commit();
        for (Valve valve : valves.values())
            if (valve.running() && valve.sinceAsked(commit.nanos) >= now.commitEveryMs())
                commit.add(valve, valve.finished());
        if (commit.offsets.isEmpty())
            return;
        commit.asked();
        consumer.commitAsync(commit.offsets, (offsets, e) -> {
            if (e == null)
                commit.accepted();
            else
                log.debug("Baton's sign of life was not taken: {}", e.getMessage());
        });
    }

    // --- rebalances ---------------------------------------------------------------------------------------------------

    /** Around the container's own listener: held before it hears of a partition, finished after it has committed. */
    private final class Rebalances implements ConsumerRebalanceListener {

        private final ConsumerRebalanceListener theirs;

        Rebalances(ConsumerRebalanceListener theirs) {
            this.theirs = theirs;
        }

        @Override
        public void onPartitionsAssigned(Collection<TopicPartition> partitions) {
            for (TopicPartition partition : partitions)
                valves.put(partition, new Valve(partition, ++assignments));
            pausedByApplication.removeAll(partitions);
            consumer.pause(partitions);
            joined = true;
            identify();
            publish();
            theirs.onPartitionsAssigned(partitions);
        }

        @Override
        public void onPartitionsRevoked(Collection<TopicPartition> partitions) {
            List<Valve> gone = known(partitions);
            gone.forEach(Valve::hold);
            flow();
            publish();
            try {
                theirs.onPartitionsRevoked(partitions);
                Commit commit = new Commit();
                for (Valve valve : gone)
                    if (valve.unsettled())
                        commit.add(valve, valve.finished());
                commit.sync();
            } finally {
                gone.forEach(Gate.this::retire);
                publish();
            }
        }

        @Override
        public void onPartitionsLost(Collection<TopicPartition> partitions) {
            known(partitions).forEach(Gate.this::retire);
            publish();
            theirs.onPartitionsLost(partitions);
        }

        private List<Valve> known(Collection<TopicPartition> partitions) {
            return partitions.stream().map(valves::get).filter(Objects::nonNull).toList();
        }
    }

    private static final class NoListener implements ConsumerRebalanceListener {

        @Override
        public void onPartitionsAssigned(Collection<TopicPartition> partitions) {
        }

        @Override
        public void onPartitionsRevoked(Collection<TopicPartition> partitions) {
        }
    }

    private void retire(Valve valve) {
        valve.hold();
        valve.flowing = valve.tap = valve.assigned = false;
        valves.remove(valve.partition, valve);
        ahead.remove(valve);
        if (valve.ran())
            former.add(valve);
    }

    // --- what others see ----------------------------------------------------------------------------------------------

    /** As the client names it; the consumer does not tell, its factory's configuration does. */
    private String assignor() {
        if ("consumer".equalsIgnoreCase(String.valueOf(config.get("group.protocol"))))
            return "consumer";
        Object strategies = config.getOrDefault("partition.assignment.strategy", "RangeAssignor");
        Object first = strategies instanceof List<?> list && !list.isEmpty() ? list.get(0) : strategies;
        String name = first instanceof Class<?> type ? type.getName() : String.valueOf(first).split(",")[0].trim();
        return switch (name.substring(name.lastIndexOf('.') + 1)) {
            case "RangeAssignor" -> "range";
            case "RoundRobinAssignor" -> "roundrobin";
            case "StickyAssignor" -> "sticky";
            case "CooperativeStickyAssignor" -> "cooperative-sticky";
            default -> name.length() <= 47 ? name : name.substring(name.length() - 47);
        };
    }

    private void identify() {
        String now = consumer.groupMetadata().memberId();
        if (now.equals(memberId))
            return;
        memberId = now;
        publish();
    }

    private void publish() {
        List<Observed.Part> parts = new ArrayList<>();
        former.forEach(valve -> parts.add(valve.observed()));
        valves.values().forEach(valve -> parts.add(valve.observed()));
        observed = new Observed(group, memberId, clientId, assignor, joined, left, done, revision, List.copyOf(parts));
    }
}
