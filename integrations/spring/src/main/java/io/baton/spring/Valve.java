package io.baton.spring;

import java.util.ArrayDeque;
import java.util.Deque;
import java.util.List;
import java.util.Locale;

import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.TopicPartition;

/**
 * One partition, from the moment Kafka assigns it until the agent has let it go. A record is in flight from when it is handed
 * over until Kafka has accepted a commit behind it: so it does not matter which AckMode the listener has, whether it takes
 * batches, or on which thread it works. Belongs to the consumer's thread.
 *
 * <pre>
 *           assigned              stand()                 open()
 *     ------------------> HELD ----------> READY --------------------> RUNNING
 *                           ^                                             |  hold()
 *                           +---------------- DRAINING <------------------+
 *                             all finished, position committed
 * </pre>
 */
final class Valve {

    enum State {
        HELD, READY, RUNNING, DRAINING;

        @Override
        public String toString() {
            return name().toLowerCase(Locale.ROOT);
        }
    }

    static final long NONE = -1;

    final TopicPartition partition;
    final long assignment;
    boolean assigned = true;
    boolean flowing; // whether its records may be handed over now
    boolean tap; // whether the client may fetch it now
    boolean blind; // nothing can be fetched ahead: what is wrong there is for the application to hear, once it runs
    boolean fenced; // Kafka has accepted no commit for too long
    String why = ""; // why the order is not obeyed
    String trouble = ""; // why Kafka did not take the last commit
    String mark = ""; // the metadata of every commit

    private boolean open;
    private boolean ready;
    private long epoch;
    private long ranEpoch = NONE;
    private long from = NONE;
    private long first = NONE;
    private long position = NONE;
    private long committed = NONE;
    private long committedNanos;
    private String committedMark = "";
    private long asked = NONE; // the newest commit: the application is through with what is below
    private long askedNanos;
    private final Deque<Long> inFlight = new ArrayDeque<>(); // offsets, ascending

    Valve(TopicPartition partition, long assignment) {
        this.partition = partition;
        this.assignment = assignment;
    }

    State state() {
        if (open)
            return State.RUNNING;
        if (!settled())
            return State.DRAINING;
        return ready ? State.READY : State.HELD;
    }

    /** Nothing is in flight, and the position is committed with its mark; or it was never made ready. */
    boolean settled() {
        return position == NONE
                || inFlight.isEmpty() && committed == position && committedMark.equals(mark);
    }

    boolean running() {
        return open;
    }

    /** It stands where it is to start: what comes next may be fetched already. Not a standby that follows, it may never start. */
    boolean starts() {
        return epoch > 0 && state() == State.READY;
    }

    boolean ran() {
        return ranEpoch != NONE;
    }

    boolean standsAt(Told.Word word) {
        return ready && from == word.from() && epoch == word.epoch() && mark.equals(word.metadata()) && settled();
    }

    /** Whether `run` of this epoch may be obeyed: made ready for it, or stopped in the middle of it. */
    boolean mayRun(long wanted) {
        return epoch == wanted && (ready || ranEpoch == wanted);
    }

    void open() {
        open = true;
        ready = false;
        ranEpoch = epoch;
    }

    void hold() {
        open = false;
        ready = false;
        fenced = false;
    }

    /** The offset where to stand is committed. */
    void stand(Told.Word word, long nanos) {
        from = position = committed = asked = word.from();
        mark = committedMark = word.metadata();
        committedNanos = askedNanos = nanos;
        epoch = word.epoch();
        first = ranEpoch = NONE;
        trouble = "";
        blind = false;
        ready = true;
    }

    void handOver(List<? extends ConsumerRecord<?, ?>> records) {
        if (first == NONE)
            first = records.get(0).offset();
        for (ConsumerRecord<?, ?> record : records)
            inFlight.add(record.offset());
        position = records.get(records.size() - 1).offset() + 1;
    }

    /** The application goes to another offset by itself, as error handlers do: what lies behind it is in flight no more. */
    void seek(long offset) {
        while (!inFlight.isEmpty() && inFlight.getLast() >= offset)
            inFlight.removeLast();
        position = offset;
        asked = Math.min(asked, offset);
    }

    boolean maySeek(long offset) {
        return (open || !settled()) && offset >= committed;
    }

    /** Stale and foreign commits are refused: they would put the group back, or beyond what was handed over. */
    boolean mayCommit(long offset) {
        return assigned && (open || !settled()) && offset >= committed && offset <= position;
    }

    /** It stopped, and a commit is missing: that of its position, or one that was asked and that Kafka has not taken. */
    boolean unsettled() {
        return !open && !settled() && (inFlight.isEmpty() || asked > committed);
    }

    /** Its position, with its mark. */
    OffsetAndMetadata handedOver() {
        return new OffsetAndMetadata(position, mark);
    }

    /** The offset below which all is finished, as far as we know. */
    OffsetAndMetadata finished() {
        return new OffsetAndMetadata(inFlight.isEmpty() ? position : Math.max(asked, committed), mark);
    }

    void asked(long offset, long nanos) {
        asked = Math.max(asked, offset);
        askedNanos = nanos;
    }

    /** Kafka has accepted a commit; the number of records that it finishes. */
    int accepted(OffsetAndMetadata offset, long nanos) {
        if (nanos < committedNanos)
            return 0; // of one that was asked before the last
        int before = inFlight.size();
        while (!inFlight.isEmpty() && inFlight.getFirst() < offset.offset())
            inFlight.removeFirst();
        committed = offset.offset();
        committedMark = offset.metadata();
        committedNanos = nanos;
        trouble = "";
        return before - inFlight.size();
    }

    long sinceAsked(long nanos) {
        return (nanos - askedNanos) / 1_000_000;
    }

    long sinceCommitted(long nanos) {
        return (nanos - committedNanos) / 1_000_000;
    }

    Observed.Part observed() {
        return new Observed.Part(partition, assignment, assigned, state(), epoch, first, position, committed, committedNanos,
                inFlight.size(), fenced, trouble.isEmpty() ? why : trouble);
    }
}
