package io.baton.spring;

import java.util.ArrayList;
import java.util.List;

import org.apache.kafka.clients.consumer.Consumer;
import org.springframework.kafka.core.ConsumerFactory;
import org.springframework.kafka.core.ConsumerPostProcessor;

/** The gates of this process, numbered as they subscribed: number n is served at /baton/v1/lifecycle/n. */
final class Gates {

    private final BatonProperties properties;
    private final List<Gate> gates = new ArrayList<>();

    Gates(BatonProperties properties) {
        this.properties = properties;
    }

    /** From now on each consumer of this factory has a gate. */
    <K, V> void guard(ConsumerFactory<K, V> factory) {
        if (factory.getPostProcessors().stream().anyMatch(Guard.class::isInstance))
            return;
        Guard<K, V> guard = new Guard<>(this, factory);
        factory.addPostProcessor(guard);
        if (!factory.getPostProcessors().contains(guard))
            throw new IllegalStateException("Baton cannot guard the consumers of " + factory.getClass().getName()
                    + ": it ignores post-processors. Use a DefaultKafkaConsumerFactory, or set baton.enabled=false");
    }

    boolean covers(String group) {
        return properties.covers(group);
    }

    /** A consumer that comes after one that was closed, its container having been started anew, gets the number of that one. */
    synchronized int add(Gate gate) {
        String client = gate.observed().clientId();
        int free = -1;
        for (int i = 0; i < gates.size(); i++) {
            boolean same = gates.get(i).observed().clientId().equals(client);
            if (gates.get(i).isClosed() && (free < 0 || same))
                free = i;
        }
        if (free < 0) {
            gates.add(gate);
            return gates.size() - 1;
        }
        gates.set(free, gate);
        return free;
    }

    synchronized Gate get(int number) {
        return number < gates.size() ? gates.get(number) : null;
    }

    synchronized List<Gate> all() {
        return List.copyOf(gates);
    }

    private record Guard<K, V>(Gates gates, ConsumerFactory<K, V> factory)
            implements ConsumerPostProcessor<K, V> {

        @Override
        public Consumer<K, V> apply(Consumer<K, V> consumer) {
            return Gate.before(consumer, gates, factory.getConfigurationProperties());
        }
    }
}
