package io.baton.spring;

import io.micrometer.core.instrument.FunctionCounter;
import io.micrometer.core.instrument.Gauge;
import io.micrometer.core.instrument.binder.MeterBinder;
import org.springframework.beans.factory.ObjectProvider;
import org.springframework.beans.factory.config.BeanPostProcessor;
import org.springframework.boot.autoconfigure.AutoConfiguration;
import org.springframework.boot.autoconfigure.condition.ConditionalOnClass;
import org.springframework.boot.autoconfigure.condition.ConditionalOnMissingClass;
import org.springframework.boot.autoconfigure.condition.ConditionalOnProperty;
import org.springframework.boot.context.properties.EnableConfigurationProperties;
import org.springframework.cloud.stream.binder.kafka.config.ClientFactoryCustomizer;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.core.env.Environment;
import org.springframework.kafka.config.AbstractKafkaListenerContainerFactory;
import org.springframework.kafka.config.KafkaListenerEndpointRegistry;
import org.springframework.kafka.core.ConsumerFactory;

/** Puts a Gate before every consumer and serves what the agent asks. With {@code baton.enabled=false} there is nothing of it. */
@AutoConfiguration
@ConditionalOnClass(ConsumerFactory.class)
@ConditionalOnProperty(name = "baton.enabled", matchIfMissing = true)
@EnableConfigurationProperties(BatonProperties.class)
public class BatonAutoConfiguration {

    @Bean
    Gates batonGates(BatonProperties properties) {
        return new Gates(properties);
    }

    @Bean
    BatonEpochs batonEpochs(Gates gates) {
        return new BatonEpochs(gates);
    }

    @Bean
    LifecycleServer batonLifecycleServer(BatonProperties properties, Gates gates) {
        return new LifecycleServer(properties, gates);
    }

    @Bean
    StartCheck batonStartCheck(BatonProperties properties, ObjectProvider<KafkaListenerEndpointRegistry> registry,
            Environment environment) {
        return new StartCheck(properties, registry.getIfAvailable(), environment);
    }

    /** Spring Kafka: every consumer factory that is a bean, or that a listener container factory uses. */
    @Bean
    static BeanPostProcessor batonConsumerFactories(ObjectProvider<Gates> gates) {
        return new BeanPostProcessor() {
            @Override
            public Object postProcessAfterInitialization(Object bean, String name) {
                if (bean instanceof ConsumerFactory<?, ?> factory)
                    gates.getObject().guard(factory);
                else if (bean instanceof AbstractKafkaListenerContainerFactory<?, ?, ?> containers
                        && containers.getConsumerFactory() != null)
                    gates.getObject().guard(containers.getConsumerFactory());
                return bean;
            }
        };
    }

    /** Spring Cloud Stream makes its own factories. */
    @Configuration(proxyBeanMethods = false)
    @ConditionalOnClass(ClientFactoryCustomizer.class)
    static class Stream {

        @Bean
        ClientFactoryCustomizer batonClientFactories(Gates gates) {
            return new ClientFactoryCustomizer() {
                @Override
                public void configure(ConsumerFactory<?, ?> factory) {
                    gates.guard(factory);
                }
            };
        }
    }

    @Configuration(proxyBeanMethods = false)
    @ConditionalOnClass(MeterBinder.class)
    static class Meters {

        @Bean
        MeterBinder batonMeters(Gates gates) {
            Census census = new Census(gates);
            return registry -> {
                for (Valve.State state : Valve.State.values())
                    Gauge.builder("baton.partitions", census, c -> c.partitions(state)).tag("state", state.toString())
                            .description("Partitions that Kafka assigns to this process").register(registry);
                Gauge.builder("baton.records.in.flight", census, Census::inFlight)
                        .description("Records handed over and not committed").register(registry);
                FunctionCounter.builder("baton.records.done", census, Census::done)
                        .description("Records finished and committed").register(registry);
            };
        }
    }

    /** Held is well: a standby holds everything. Down is only who runs, and may not: Kafka has taken no commit for too long. */
    @Configuration(proxyBeanMethods = false)
    @ConditionalOnClass(name = "org.springframework.boot.actuate.health.HealthIndicator")
    static class HealthOfBoot3 {

        @Bean
        org.springframework.boot.actuate.health.HealthIndicator batonHealthIndicator(Gates gates) {
            Census census = new Census(gates);
            return () -> org.springframework.boot.actuate.health.Health.status(census.fenced() ? "DOWN" : "UP")
                    .withDetails(census.details()).build();
        }
    }

    /** The same, where Boot 4 has moved it. */
    @Configuration(proxyBeanMethods = false)
    @ConditionalOnClass(name = "org.springframework.boot.health.contributor.HealthIndicator")
    @ConditionalOnMissingClass("org.springframework.boot.actuate.health.HealthIndicator")
    static class HealthOfBoot4 {

        @Bean
        org.springframework.boot.health.contributor.HealthIndicator batonHealthIndicator(Gates gates) {
            Census census = new Census(gates);
            return () -> org.springframework.boot.health.contributor.Health.status(census.fenced() ? "DOWN" : "UP")
                    .withDetails(census.details()).build();
        }
    }
}
