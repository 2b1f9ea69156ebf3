package io.baton.spring;

/**
 * Under which epoch this process works on a partition. It grows with every hand-over, so it is a fencing token: a database that
 * keeps the highest one it has seen beside what it is given can refuse the late write of who has lost the partition meanwhile.
 */
public final class BatonEpochs {

    private final Gates gates;

    BatonEpochs(Gates gates) {
        this.gates = gates;
    }

    /** The epoch of a record of this partition, asked before the listener is through with it; 0 where it has never run. */
    public long of(String topic, int partition) {
        long epoch = 0;
        for (Gate gate : gates.all())
            for (Observed.Part part : gate.observed().parts())
                if (part.partition().partition() == partition && part.partition().topic().equals(topic))
                    epoch = Math.max(epoch, part.epoch());
        return epoch;
    }
}
