package io.baton.spring;

import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

import org.apache.kafka.clients.consumer.Consumer;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.MockConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.consumer.OffsetCommitCallback;
import org.apache.kafka.clients.consumer.OffsetResetStrategy;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.WakeupException;

/** A gate before a mock consumer, an agent that tells it things, and what Kafka was asked to commit. */
@SuppressWarnings("deprecation") // the constructor that both generations of kafka-clients have
final class Rig {

    static final String MARK = "baton/1 epoch=17";

    final Kafka kafka;
    final Gates gates = new Gates(new BatonProperties(true, "127.0.0.1", 0, null, Set.of()));
    final Consumer<String, String> consumer;
    final Gate gate;
    final List<String> told = new ArrayList<>();
    String agent = "agent-one";
    long revision;
    long commitEveryMs = 3_600_000;
    long fenceMs = 3_600_000;
    boolean leave;

    /** The mock, which remembers each commit and refuses them on demand. */
    static final class Kafka extends MockConsumer<String, String> {

        final List<String> commits = new ArrayList<>();
        KafkaException refusal;
        int wakeUps; // of so many synchronous commits to come
        boolean silent; // takes asynchronous commits, and says nothing
        final List<Runnable> unsaid = new ArrayList<>();
        ConsumerRebalanceListener listener;

        Kafka() {
            super(OffsetResetStrategy.EARLIEST);
        }

        @Override
        public synchronized void subscribe(Collection<String> topics, ConsumerRebalanceListener listener) {
            this.listener = listener;
            super.subscribe(topics, listener);
        }

        @Override
        public synchronized void commitSync(Map<TopicPartition, OffsetAndMetadata> offsets) {
            if (wakeUps-- > 0)
                throw new WakeupException();
            note(offsets);
        }

        @Override
        public synchronized void commitSync(Map<TopicPartition, OffsetAndMetadata> offsets, Duration timeout) {
            commitSync(offsets);
        }

        @Override
        public synchronized void commitAsync(Map<TopicPartition, OffsetAndMetadata> offsets, OffsetCommitCallback callback) {
            if (refusal != null) {
                callback.onComplete(offsets, refusal);
                return;
            }
            note(offsets);
            if (silent)
                unsaid.add(() -> callback.onComplete(offsets, null));
            else
                callback.onComplete(offsets, null);
        }

        private void note(Map<TopicPartition, OffsetAndMetadata> offsets) {
            if (refusal != null)
                throw refusal;
            offsets.forEach((partition, at) -> commits.add(partition + "=" + at.offset() + " " + at.metadata()));
        }
    }

    Rig() {
        this(new NoOne());
    }

    Rig(ConsumerRebalanceListener listener) {
        kafka = new Kafka();
        Map<TopicPartition, Long> zero = new HashMap<>();
        for (int i = 0; i < 4; i++)
            zero.put(at(i), 0L);
        kafka.updateBeginningOffsets(zero);
        consumer = Gate.before(kafka, gates, Map.of());
        consumer.subscribe(List.of("in"), listener);
        gate = gates.get(0);
    }

    static class NoOne implements ConsumerRebalanceListener {

        @Override
        public void onPartitionsAssigned(Collection<TopicPartition> partitions) {
        }

        @Override
        public void onPartitionsRevoked(Collection<TopicPartition> partitions) {
        }
    }

    static TopicPartition at(int partition) {
        return new TopicPartition("in", partition);
    }

    /** What Kafka assigns now; the mock tells the listener what came and what went. */
    void assign(Integer... partitions) {
        kafka.rebalance(List.of(partitions).stream().map(Rig::at).toList());
        poll();
    }

    void records(int partition, long first, int count) {
        for (long offset = first; offset < first + count; offset++)
            kafka.addRecord(new ConsumerRecord<>("in", partition, offset, null, "v" + offset));
    }

    /** The offsets that came, as "partition:offset". */
    List<String> poll() {
        List<String> list = new ArrayList<>();
        consumer.poll(Duration.ZERO).forEach(record -> list.add(record.partition() + ":" + record.offset()));
        return list;
    }

    /** The container commits below {@code offset}. */
    void finish(int partition, long offset) {
        consumer.commitSync(Map.of(at(partition), new OffsetAndMetadata(offset, "the application's")));
    }

    Rig ready(int partition, long epoch, long from) {
        return ready(partition, epoch, from, MARK);
    }

    Rig ready(int partition, long epoch, long from, String mark) {
        return word(partition, "\"state\":\"ready\",\"epoch\":" + epoch + ",\"from\":" + from + ",\"metadata\":\"" + mark + "\"");
    }

    Rig run(int partition, long epoch) {
        return word(partition, "\"state\":\"run\",\"epoch\":" + epoch + ",\"from\":0,\"metadata\":\"" + MARK + "\"");
    }

    Rig hold(int partition) {
        return word(partition, "\"state\":\"hold\"");
    }

    private Rig word(int partition, String rest) {
        told.add("{\"topic\":\"in\",\"partition\":" + partition + ",\"assignment\":" + part(partition).assignment() + "," + rest
                + "}");
        return this;
    }

    /** The agent says what has been gathered, and the consumer's loop comes round; what it gave is answered. */
    List<String> tell() {
        String refusal = put(++revision);
        if (refusal != null)
            throw new AssertionError(refusal);
        return poll();
    }

    String put(long number) {
        try {
            return gate.put(Told.read(body(number).getBytes()));
        } catch (Told.NotUnderstood e) {
            throw new AssertionError(e);
        } finally {
            told.clear();
        }
    }

    String body(long number) {
        return "{\"lifecycle\":1,\"instance\":\"" + gate.instance + "\",\"agent\":\"" + agent + "\",\"revision\":" + number
                + ",\"term\":5,\"epoch\":9,\"fleet\":\"payments\",\"color\":\"blue\",\"commit_every_ms\":" + commitEveryMs
                + ",\"fence_ms\":" + fenceMs + ",\"leave\":" + leave + ",\"news\":[1.5,null,{}],\"partitions\":["
                + String.join(",", told) + "]}";
    }

    /** Kafka assigns partition 0, it is made ready at {@code from} and runs. */
    Rig running(long from) {
        assign(0);
        ready(0, 17, from).tell();
        run(0, 17).tell();
        return this;
    }

    Observed.Part part(int partition) {
        return gate.observed().parts().stream().filter(p -> p.partition().equals(at(partition)))
                .reduce((first, last) -> last).orElseThrow();
    }

    /** In short: state, and position/committed. */
    String state(int partition) {
        Observed.Part p = part(partition);
        return p.state() + " " + p.position() + "/" + p.committed();
    }
}
