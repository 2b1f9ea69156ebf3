package io.baton.spring;

import static org.assertj.core.api.Assertions.assertThat;

import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.function.BooleanSupplier;
import java.util.stream.LongStream;

import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.StringSerializer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledIfSystemProperty;
import org.springframework.boot.WebApplicationType;
import org.springframework.boot.autoconfigure.EnableAutoConfiguration;
import org.springframework.boot.builder.SpringApplicationBuilder;
import org.springframework.boot.json.JsonParserFactory;
import org.springframework.context.ConfigurableApplicationContext;
import org.springframework.context.annotation.Configuration;
import org.springframework.context.support.GenericApplicationContext;
import org.springframework.kafka.core.ConsumerFactory;
import org.springframework.kafka.listener.AcknowledgingMessageListener;
import org.springframework.kafka.listener.BatchMessageListener;
import org.springframework.kafka.listener.ConcurrentMessageListenerContainer;
import org.springframework.kafka.listener.ContainerProperties;
import org.springframework.kafka.listener.ContainerProperties.AckMode;
import org.springframework.kafka.listener.MessageListener;

/**
 * Two Spring Boot applications, blue and green, on a real Kafka, switched there and back under load by plain PUTs as the agent
 * sends them. Each has one listener for each way in which a listener can commit and be assigned to. What the brokers have
 * is read by Kafka's own admin client, what was worked on is written down by the listeners: nothing is lost, nothing done twice,
 * and everything in order. `integrations/spring/verify.py` brings the Kafka.
 */
@EnabledIfSystemProperty(named = "baton.bootstrap", matches = ".+")
class HandoverIT {

    private static final String BOOTSTRAP = System.getProperty("baton.bootstrap");
    private static final String RUN = System.getProperty("baton.run"); // names of topics begin with it
    private static final int PARTITIONS = 3;

    enum Way {
        RECORD, BATCH, MANUAL, MANUAL_IMMEDIATE, TIME, COUNT, COUNT_TIME, BATCH_LISTENER, ASYNC_ACKS, ASYNC_COMMITS, RETRY, COOPERATIVE,
        CONSUMER_PROTOCOL, CONCURRENT;

        String topic() {
            return RUN + "-" + name().toLowerCase(Locale.ROOT);
        }

        private AckMode ackMode() {
            return switch (this) {
                case RECORD, MANUAL, MANUAL_IMMEDIATE, TIME, COUNT, COUNT_TIME -> AckMode.valueOf(name());
                case ASYNC_ACKS -> AckMode.MANUAL;
                case RETRY -> AckMode.RECORD;
                default -> AckMode.BATCH;
            };
        }
    }

    /** What was worked on, where, and how far; both applications write into it. */
    private static final Map<TopicPartition, ConcurrentLinkedQueue<Long>> DONE = new ConcurrentHashMap<>();
    private static final Map<String, Integer> DONE_BY = new ConcurrentHashMap<>();
    private static final Set<String> FAILED = ConcurrentHashMap.newKeySet();

    @Configuration
    @EnableAutoConfiguration
    static class Application {
    }

    /** The application's own listeners, one a way. */
    static final class Listeners {

        private final String color;
        private final ExecutorService threads = Executors.newFixedThreadPool(2, work -> {
            Thread thread = new Thread(work);
            thread.setDaemon(true);
            return thread;
        });

        Listeners(String color) {
            this.color = color;
        }

        ConcurrentMessageListenerContainer<String, String> container(ConsumerFactory<String, String> factory, Way way) {
            ContainerProperties its = new ContainerProperties(way.topic());
            its.setGroupId(way.topic() + "-" + color);
            its.setAckMode(way.ackMode());
            its.setAckCount(50);
            its.setAckTime(700);
            its.setPollTimeout(5000);
            its.setAsyncAcks(way == Way.ASYNC_ACKS);
            its.setSyncCommits(way != Way.ASYNC_COMMITS);
            Properties more = its.getKafkaConsumerProperties();
            if (way == Way.COOPERATIVE)
                more.put("partition.assignment.strategy", "org.apache.kafka.clients.consumer.CooperativeStickyAssignor");
            if (way == Way.CONSUMER_PROTOCOL)
                more.put("group.protocol", "consumer");
            its.setMessageListener(listener(way));
            ConcurrentMessageListenerContainer<String, String> container = new ConcurrentMessageListenerContainer<>(factory, its);
            container.setConcurrency(way == Way.CONCURRENT ? 2 : 1);
            container.setBeanName(way.name());
            return container;
        }

        private Object listener(Way way) {
            return switch (way) {
                case BATCH_LISTENER -> (BatchMessageListener<String, String>) batch -> batch.forEach(this::work);
                case MANUAL, MANUAL_IMMEDIATE -> (AcknowledgingMessageListener<String, String>) (record, ack) -> {
                    work(record);
                    ack.acknowledge();
                };
                case ASYNC_ACKS -> (AcknowledgingMessageListener<String, String>) (record, ack) -> threads.execute(() -> {
                    work(record);
                    ack.acknowledge();
                });
                case RETRY -> (MessageListener<String, String>) record -> {
                    if (record.offset() % 40 == 7 && FAILED.add(record.topic() + record.partition() + "/" + record.offset()))
                        throw new IllegalStateException("fails at first");
                    work(record);
                };
                default -> (MessageListener<String, String>) this::work;
            };
        }

        private void work(ConsumerRecord<String, String> record) {
            DONE.computeIfAbsent(new TopicPartition(record.topic(), record.partition()), p -> new ConcurrentLinkedQueue<>())
                    .add(record.offset());
            DONE_BY.merge(record.topic() + "-" + color, 1, Integer::sum);
        }
    }

    private static ConfigurableApplicationContext start(String color) {
        Listeners listeners = new Listeners(color);
        return new SpringApplicationBuilder(Application.class).web(WebApplicationType.NONE)
                .properties(Map.of("baton.port", "0", "spring.kafka.bootstrap-servers", BOOTSTRAP, "spring.main.banner-mode", "off",
                        "spring.kafka.consumer.auto-offset-reset", "earliest"))
                .initializers((GenericApplicationContext context) -> {
                    for (Way way : Way.values())
                        context.registerBean(way.name(), ConcurrentMessageListenerContainer.class,
                                () -> listeners.container(factory(context), way));
                }).run();
    }

    @SuppressWarnings("unchecked")
    private static ConsumerFactory<String, String> factory(GenericApplicationContext context) {
        return (ConsumerFactory<String, String>) context.getBean(ConsumerFactory.class);
    }

    // --- the agent of one consumer ------------------------------------------------------------------------------------

    private static final HttpClient CLIENT = HttpClient.newHttpClient();

    private static final class Agent {

        private final String url;
        private final String color;
        private long revision;

        Agent(int port, int number, String color) {
            url = "http://127.0.0.1:" + port + "/baton/v1/lifecycle/" + number;
            this.color = color;
        }

        /** The document; null where there is no such consumer. */
        Map<String, Object> get() {
            return ask(HttpRequest.newBuilder(URI.create(url)).GET());
        }

        private static Map<String, Object> ask(HttpRequest.Builder request) {
            try {
                HttpResponse<String> answer = CLIENT.send(request.timeout(Duration.ofSeconds(10)).build(), BodyHandlers.ofString());
                if (answer.statusCode() == 404)
                    return null;
                assertThat(answer.statusCode()).as(answer.body()).isEqualTo(200);
                return JsonParserFactory.getJsonParser().parseMap(answer.body());
            } catch (java.io.IOException | InterruptedException e) {
                throw new AssertionError(e);
            }
        }

        @SuppressWarnings("unchecked")
        static List<Map<String, Object>> parts(Map<String, Object> document) {
            return (List<Map<String, Object>>) ((Map<String, Object>) document.get("observed")).get("partitions");
        }

        /** One word for all: `from` where each is to begin, by partition. */
        void tell(String state, long epoch, Map<Integer, Long> from) {
            Map<String, Object> document = get();
            List<String> words = new ArrayList<>();
            for (Map<String, Object> part : parts(document))
                words.add("{\"topic\":\"" + part.get("topic") + "\",\"partition\":" + part.get("partition") + ",\"assignment\":"
                        + part.get("assignment") + ",\"state\":\"" + state + "\",\"epoch\":" + epoch + ",\"from\":"
                        + from.getOrDefault(number(part, "partition").intValue(), 0L) + ",\"metadata\":\"baton/1 epoch=" + epoch
                        + "\"}");
            ask(HttpRequest.newBuilder(URI.create(url)).PUT(BodyPublishers.ofString("{\"lifecycle\":1,\"instance\":\""
                    + document.get("instance") + "\",\"agent\":\"" + color + "\",\"revision\":" + ++revision
                    + ",\"term\":1,\"epoch\":" + epoch + ",\"fleet\":\"it\",\"color\":\"" + color
                    + "\",\"commit_every_ms\":500,\"fence_ms\":45000,\"leave\":false,\"partitions\":[" + String.join(",", words)
                    + "]}")));
        }

        boolean all(String state) {
            Map<String, Object> document = get();
            return document != null && String.valueOf(document.get("joined")).equals("true")
                    && number(((Map<?, ?>) document.get("observed")), "revision") >= revision
                    && parts(document).stream().allMatch(part -> part.get("state").equals(state));
        }

        static Long number(Map<?, ?> map, String name) {
            return map.get(name) == null ? null : ((Number) map.get(name)).longValue();
        }
    }

    /** All agents of one application, by topic: a concurrent listener has several. */
    private static Map<String, List<Agent>> agents(ConfigurableApplicationContext application, String color) {
        int port = application.getBean(LifecycleServer.class).port();
        Map<String, List<Agent>> agents = new LinkedHashMap<>();
        waitUntil("all consumers of " + color, () -> new Agent(port, Way.values().length, color).get() != null);
        for (int number = 0; number <= Way.values().length; number++) {
            Agent agent = new Agent(port, number, color);
            String group = (String) agent.get().get("group");
            agents.computeIfAbsent(group.substring(0, group.length() - color.length() - 1), topic -> new ArrayList<>()).add(agent);
        }
        for (Map.Entry<String, List<Agent>> each : agents.entrySet())
            waitUntil("the assignment of " + each.getKey() + " " + color, () -> each.getValue().stream()
                    .mapToInt(agent -> Agent.parts(agent.get()).size()).sum() == PARTITIONS);
        return agents;
    }

    private static void waitUntil(String what, BooleanSupplier condition) {
        long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(90);
        while (!condition.getAsBoolean()) {
            if (System.nanoTime() > end)
                throw new AssertionError("waited 90 s for " + what);
            try {
                Thread.sleep(5);
            } catch (InterruptedException e) {
                throw new AssertionError(e);
            }
        }
    }

    // --- the test -----------------------------------------------------------------------------------------------------

    @Test
    void everyKindOfListenerIsSwitchedThereAndBackUnderLoad() throws Exception {
        try (Admin admin = Admin.create(Map.of("bootstrap.servers", BOOTSTRAP))) {
            List<NewTopic> topics = new ArrayList<>();
            for (Way way : Way.values())
                topics.add(new NewTopic(way.topic(), PARTITIONS, (short) 1));
            admin.createTopics(topics).all().get(90, TimeUnit.SECONDS);
            Load load = new Load();
            try (ConfigurableApplicationContext blue = start("blue"); ConfigurableApplicationContext green = start("green")) {
                Map<String, List<Agent>> blues = agents(blue, "blue");
                Map<String, List<Agent>> greens = agents(green, "green");
                load.start();
                Map<Integer, Long> zero = new HashMap<>();
                for (Way way : Way.values())
                    take(way, blues.get(way.topic()), 1, zero);
                waitUntil("some of what is produced", () -> load.rounds > 50);
                assertThat(DONE_BY.keySet()).as("green is held").noneMatch(group -> group.endsWith("green"));
                for (Way way : Way.values())
                    switchOver(admin, way, blues, "blue", greens, 2);
                for (Way way : Way.values()) {
                    int before = DONE_BY.getOrDefault(way.topic() + "-green", 0);
                    waitUntil(way + " to flow in green", () -> DONE_BY.getOrDefault(way.topic() + "-green", 0) > before + 20);
                }
                for (Way way : Way.values())
                    switchOver(admin, way, greens, "green", blues, 3);
                load.end();
                for (Way way : Way.values())
                    for (int partition = 0; partition < PARTITIONS; partition++) {
                        TopicPartition at = new TopicPartition(way.topic(), partition);
                        waitUntil(at + " to be worked off", () -> done(at).size() >= load.rounds);
                    }
                for (Way way : Way.values()) // whole, once, and in order but where threads race
                    for (int partition = 0; partition < PARTITIONS; partition++) {
                        List<Long> done = done(new TopicPartition(way.topic(), partition));
                        if (way == Way.ASYNC_ACKS)
                            done.sort(null);
                        List<Long> wanted = LongStream.range(0, load.rounds).boxed().toList();
                        assertThat(done).as(way + "/" + partition).isEqualTo(wanted);
                    }
                assertThat(FAILED).as("some failed and were tried again").isNotEmpty();
            } finally {
                load.end();
            }
        }
    }

    private static List<Long> done(TopicPartition partition) {
        return new ArrayList<>(DONE.getOrDefault(partition, new ConcurrentLinkedQueue<>()));
    }

    private static void take(Way way, List<Agent> agents, long epoch, Map<Integer, Long> from) {
        agents.forEach(agent -> agent.tell("ready", epoch, from));
        waitUntil(way + " to be ready", () -> agents.stream().allMatch(agent -> agent.all("ready")));
        agents.forEach(agent -> agent.tell("run", epoch, from));
    }

    private static void switchOver(Admin admin, Way way, Map<String, List<Agent>> from, String color, Map<String, List<Agent>> to,
            long epoch) throws Exception {
        long nanos = System.nanoTime();
        List<Agent> holders = from.get(way.topic());
        holders.forEach(agent -> agent.tell("hold", epoch, Map.of()));
        waitUntil(way + " to be held", () -> holders.stream().allMatch(agent -> agent.all("held")));
        long held = System.nanoTime();
        Map<TopicPartition, OffsetAndMetadata> committed = admin.listConsumerGroupOffsets(way.topic() + "-" + color)
                .partitionsToOffsetAndMetadata().get(90, TimeUnit.SECONDS);
        Map<Integer, Long> offsets = new HashMap<>();
        for (Agent agent : holders)
            for (Map<String, Object> part : Agent.parts(agent.get())) {
                int partition = Agent.number(part, "partition").intValue();
                OffsetAndMetadata at = committed.get(new TopicPartition(way.topic(), partition));
                assertThat(at.offset()).as(way + "/" + partition).isEqualTo(Agent.number(part, "position"));
                assertThat(at.metadata()).isEqualTo("baton/1 epoch=" + (epoch - 1));
                assertThat(Agent.number(part, "in_flight")).isZero();
                offsets.put(partition, at.offset());
            }
        take(way, to.get(way.topic()), epoch, offsets);
        waitUntil(way + " to run", () -> to.get(way.topic()).stream().allMatch(agent -> agent.all("running")));
        System.out.printf("%-18s epoch %d: held after %3d ms, runs after %3d ms%n", way, epoch, (held - nanos) / 1_000_000,
                (System.nanoTime() - nanos) / 1_000_000);
    }

    /** A record for each partition of each topic, again and again. */
    private static final class Load extends Thread {

        volatile int rounds;
        private volatile boolean over;

        @Override
        public void run() {
            try (KafkaProducer<String, String> producer = new KafkaProducer<>(Map.of("bootstrap.servers", BOOTSTRAP, "linger.ms", 0),
                    new StringSerializer(), new StringSerializer())) {
                while (!over) {
                    for (Way way : Way.values())
                        for (int partition = 0; partition < PARTITIONS; partition++)
                            producer.send(new ProducerRecord<>(way.topic(), partition, null, "value " + rounds));
                    producer.flush();
                    rounds++;
                    Thread.sleep(30);
                }
            } catch (InterruptedException e) {
                throw new AssertionError(e);
            }
        }

        void end() throws InterruptedException {
            over = true;
            join();
        }
    }
}
