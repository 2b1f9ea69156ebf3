package io.baton.spring;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Map;

import io.micrometer.core.instrument.binder.MeterBinder;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import org.apache.kafka.clients.consumer.Consumer;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.junit.jupiter.api.Test;
import org.springframework.boot.autoconfigure.AutoConfigurations;
import org.springframework.boot.test.context.FilteredClassLoader;
import org.springframework.boot.test.context.runner.ApplicationContextRunner;
import org.springframework.cloud.stream.binder.kafka.config.ClientFactoryCustomizer;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.kafka.annotation.EnableKafka;
import org.springframework.kafka.annotation.KafkaListener;
import org.springframework.kafka.annotation.TopicPartition;
import org.springframework.kafka.config.ConcurrentKafkaListenerContainerFactory;
import org.springframework.kafka.core.ConsumerFactory;
import org.springframework.kafka.core.DefaultKafkaConsumerFactory;
import org.springframework.kafka.core.DefaultKafkaProducerFactory;
import org.springframework.kafka.transaction.KafkaTransactionManager;

/** What the starter puts into an application, what it refuses there, and that it is gone when it is disabled. */
@SuppressWarnings({ "unchecked", "rawtypes" })
class BatonAutoConfigurationTest {

    private static final Map<String, Object> CONFIG = Map.of("bootstrap.servers", "127.0.0.1:9", "group.id", "payments",
            "key.deserializer", StringDeserializer.class, "value.deserializer", StringDeserializer.class);

    private final ApplicationContextRunner runner = new ApplicationContextRunner().withPropertyValues("baton.port=0")
            .withConfiguration(AutoConfigurations.of(BatonAutoConfiguration.class));

    @Configuration(proxyBeanMethods = false)
    static class Factory {

        @Bean
        ConsumerFactory<String, String> consumerFactory() {
            return new DefaultKafkaConsumerFactory<>(CONFIG);
        }
    }

    /** The factory is no bean of its own, as in many an application. */
    @Configuration(proxyBeanMethods = false)
    @EnableKafka
    static class Listening {

        @Bean
        ConcurrentKafkaListenerContainerFactory<String, String> kafkaListenerContainerFactory() {
            ConcurrentKafkaListenerContainerFactory<String, String> containers = new ConcurrentKafkaListenerContainerFactory<>();
            containers.setConsumerFactory(new DefaultKafkaConsumerFactory<>(CONFIG));
            return containers;
        }
    }

    static class ByHand extends Listening {

        @KafkaListener(id = "by-hand", topicPartitions = @TopicPartition(topic = "in", partitions = "0"))
        void take(String value) {
        }
    }

    static class OwnCommits extends Listening {

        @KafkaListener(id = "own-commits", topics = "in", groupId = "payments", properties = "enable.auto.commit=true")
        void take(String value) {
        }
    }

    static class Transactional extends Listening {

        @Override
        @Bean
        ConcurrentKafkaListenerContainerFactory<String, String> kafkaListenerContainerFactory() {
            ConcurrentKafkaListenerContainerFactory<String, String> containers = super.kafkaListenerContainerFactory();
            DefaultKafkaProducerFactory<String, String> producers = new DefaultKafkaProducerFactory<>(
                    Map.of(ProducerConfig.BOOTSTRAP_SERVERS_CONFIG, "127.0.0.1:9"));
            producers.setTransactionIdPrefix("tx-");
            containers.getContainerProperties().setKafkaAwareTransactionManager(new KafkaTransactionManager<>(producers));
            return containers;
        }

        @KafkaListener(id = "transactional", topics = "in")
        void take(String value) {
        }
    }

    @Test
    void consumersOfEveryFactoryHaveAGate() {
        runner.withUserConfiguration(Factory.class).run(context -> {
            try (Consumer<?, ?> consumer = context.getBean(ConsumerFactory.class).createConsumer()) {
                assertThat(java.lang.reflect.Proxy.isProxyClass(consumer.getClass())).isTrue();
                assertThat(context.getBean(Gates.class).all()).as("it has not subscribed").isEmpty();
            }
        });
        runner.withUserConfiguration(Listening.class).run(context -> assertThat(
                context.getBean(ConcurrentKafkaListenerContainerFactory.class).getConsumerFactory().getPostProcessors()).hasSize(1));
    }

    @Test
    void disabledThereIsNothingOfIt() {
        runner.withUserConfiguration(Factory.class).withPropertyValues("baton.enabled=false").run(context -> {
            assertThat(context.getBean(ConsumerFactory.class).getPostProcessors()).isEmpty();
            assertThat(context).doesNotHaveBean(Gates.class).doesNotHaveBean(LifecycleServer.class);
        });
    }

    @Test
    void whatAGateCannotKeepItsWordAboutIsRefusedAtTheStart() {
        runner.withUserConfiguration(ByHand.class).run(context -> assertThat(context).getFailure()
                .rootCause().hasMessageContaining("listener by-hand: it assigns partitions by hand"));
        runner.withUserConfiguration(OwnCommits.class).run(context -> assertThat(context).getFailure()
                .rootCause().hasMessageContaining("listener own-commits: enable.auto.commit"));
        runner.withUserConfiguration(Transactional.class).run(context -> assertThat(context).getFailure()
                .rootCause().hasMessageContaining("listener transactional: transactions are not supported"));
        runner.withPropertyValues("spring.cloud.stream.kafka.binder.transaction.transaction-id-prefix=tx-").run(context ->
                assertThat(context).getFailure().rootCause().hasMessageContaining("the binder: transactions"));
    }

    @Test
    void healthAndMetersTellOfTheGates() {
        runner.run(context -> {
            SimpleMeterRegistry registry = new SimpleMeterRegistry();
            context.getBean("batonMeters", MeterBinder.class).bindTo(registry);
            assertThat(registry.get("baton.partitions").tag("state", "held").gauge().value()).isZero();
            assertThat(registry.get("baton.records.in.flight").gauge().value()).isZero();
            assertThat(registry.get("baton.records.done").functionCounter().count()).isZero();
            org.springframework.boot.actuate.health.Health health = context
                    .getBean(org.springframework.boot.actuate.health.HealthIndicator.class).health();
            assertThat(health.getStatus().getCode()).isEqualTo("UP");
            assertThat(health.getDetails()).containsKeys("consumers", "held", "ready", "running", "draining", "inFlight");
        });
        runner.withClassLoader(new FilteredClassLoader("org.springframework.boot.actuate.health")).run(context -> assertThat(context
                .getBean(org.springframework.boot.health.contributor.HealthIndicator.class).health().getStatus().getCode())
                .isEqualTo("UP"));
    }

    @Test
    void itDoesWithoutStreamMetersAndActuator() {
        runner.withClassLoader(new FilteredClassLoader(ClientFactoryCustomizer.class, MeterBinder.class,
                org.springframework.boot.actuate.health.HealthIndicator.class,
                org.springframework.boot.health.contributor.HealthIndicator.class))
                .withUserConfiguration(Factory.class).run(context -> assertThat(context).hasNotFailed());
    }
}
