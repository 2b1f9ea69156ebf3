package io.baton.spring;

import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.springframework.context.SmartLifecycle;
import org.springframework.core.env.Environment;
import org.springframework.kafka.config.KafkaListenerEndpointRegistry;
import org.springframework.kafka.listener.AbstractMessageListenerContainer;
import org.springframework.kafka.listener.ContainerProperties;
import org.springframework.kafka.listener.MessageListenerContainer;

/** Refuses, before any consumer starts, what a Gate cannot keep its word about. */
final class StartCheck implements SmartLifecycle {

    private static final String STREAM_TRANSACTIONS = "spring.cloud.stream.kafka.binder.transaction.transaction-id-prefix";

    private final BatonProperties properties;
    private final KafkaListenerEndpointRegistry registry;
    private final Environment environment;
    private boolean running;

    /** {@code registry} is null where there are no listeners, as in Spring Cloud Stream. */
    StartCheck(BatonProperties properties, KafkaListenerEndpointRegistry registry, Environment environment) {
        this.properties = properties;
        this.registry = registry;
        this.environment = environment;
    }

    @Override
    public void start() {
        running = true;
        if (environment.containsProperty(STREAM_TRANSACTIONS))
            throw refusal("the binder", "transactions (" + STREAM_TRANSACTIONS + ") are not supported: offsets that a producer"
                    + " commits are not seen by the Gate");
        if (registry == null)
            return;
        for (MessageListenerContainer container : registry.getAllListenerContainers())
            if (container.getGroupId() == null || properties.covers(container.getGroupId()))
                check(container);
    }

    private static void check(MessageListenerContainer container) {
        String name = "listener " + container.getListenerId();
        if (!(container instanceof AbstractMessageListenerContainer<?, ?>))
            throw refusal(name, "it is a share consumer, which has no partitions of its own");
        ContainerProperties its = container.getContainerProperties();
        if (its.getKafkaAwareTransactionManager() != null)
            throw refusal(name, "transactions are not supported: offsets that a producer commits are not seen by the Gate");
        if (its.getTopicPartitions() != null)
            throw refusal(name, "it assigns partitions by hand (topicPartitions): there is no group to hand over in");
        if (Boolean.parseBoolean(its.getKafkaConsumerProperties().getProperty(ConsumerConfig.ENABLE_AUTO_COMMIT_CONFIG)))
            throw refusal(name, "enable.auto.commit would commit records that nobody has finished");
    }

    private static IllegalStateException refusal(String what, String why) {
        return new IllegalStateException("Baton cannot guard " + what + ": " + why
                + ". Change that, name the groups that it shall guard in baton.groups, or set baton.enabled=false");
    }

    @Override
    public void stop() {
        running = false;
    }

    @Override
    public boolean isRunning() {
        return running;
    }

    @Override
    public int getPhase() {
        return 0;
    }
}
