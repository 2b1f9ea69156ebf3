package io.baton.spring;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.security.MessageDigest;
import java.time.Duration;
import java.util.Map;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.boot.json.JsonWriter;
import org.springframework.context.SmartLifecycle;

/**
 * Serves the lifecycle contract, by the JDK's own server. Not by Spring MVC, WebFlux or actuator: many consumers have no web
 * server, the application's one is open to others and has its own security, and its threads may all be busy just when the
 * agent must be answered. It starts before the consumers and stops after them, so the agent sees them leave.
 */
final class LifecycleServer implements SmartLifecycle {

    private static final Logger log = LoggerFactory.getLogger(LifecycleServer.class);
    private static final Pattern PATH = Pattern.compile("/baton/v1/lifecycle(?:/(\\d{1,4}))?");
    private static final int BODY_MAX = 4 * 1024 * 1024;
    /** The JDK's server sends head and body apart, and without this the body waits 40 ms for the head's acknowledgement. */
    private static final String NO_DELAY = "sun.net.httpserver.nodelay";
    private static final int THREADS = 4;
    /** A PUT is answered by what has become of it, if the consumer comes round so soon. */
    private static final Duration TURN_MAX = Duration.ofMillis(20);
    private static final JsonWriter<Map<String, Object>> JSON = JsonWriter.standard();

    private final BatonProperties properties;
    private final Gates gates;
    private final Duration turnMax;
    private HttpServer server;
    private ExecutorService threads;

    LifecycleServer(BatonProperties properties, Gates gates) {
        this(properties, gates, TURN_MAX);
    }

    LifecycleServer(BatonProperties properties, Gates gates, Duration turnMax) {
        this.properties = properties;
        this.gates = gates;
        this.turnMax = turnMax;
    }

    private record Answer(int status, Map<String, Object> document) {

        static Answer error(int status, String sentence) {
            return new Answer(status, Map.of("error", sentence));
        }
    }

    @Override
    public synchronized void start() {
        InetSocketAddress address = new InetSocketAddress(properties.address(), properties.port());
        if (properties.tokenFile() != null)
            token();
        if (System.getProperty(NO_DELAY) == null)
            System.setProperty(NO_DELAY, "true");
        try {
            server = HttpServer.create(address, 16);
        } catch (IOException e) {
            throw new IllegalStateException("Baton cannot serve its lifecycle document at " + properties.address() + ":"
                    + properties.port() + " (" + e.getMessage() + "): set baton.port or baton.address", e);
        }
        threads = Executors.newFixedThreadPool(THREADS, work -> {
            Thread thread = new Thread(work, "baton-lifecycle");
            thread.setDaemon(true);
            return thread;
        });
        server.setExecutor(threads);
        server.createContext("/", this::handle);
        server.start();
        log.info("Baton serves http://{}:{}/baton/v1/lifecycle", properties.address(), port());
    }

    @Override
    public synchronized void stop() {
        server.stop(0);
        threads.shutdownNow();
        server = null;
    }

    @Override
    public synchronized boolean isRunning() {
        return server != null;
    }

    @Override
    public int getPhase() {
        return 0;
    }

    synchronized int port() {
        return server.getAddress().getPort();
    }

    private void handle(HttpExchange exchange) throws IOException {
        try (exchange) {
            Answer answer;
            try {
                answer = answer(exchange);
            } catch (RuntimeException e) {
                log.error("Baton could not answer", e);
                answer = Answer.error(500, "internal error, see the application's log");
            }
            byte[] body = JSON.writeToString(answer.document).getBytes(StandardCharsets.UTF_8);
            exchange.getResponseHeaders().set("Content-Type", "application/json");
            exchange.sendResponseHeaders(answer.status, body.length);
            exchange.getResponseBody().write(body);
        }
    }

    private Answer answer(HttpExchange exchange) throws IOException {
        byte[] body = exchange.getRequestBody().readNBytes(BODY_MAX + 1);
        Matcher path = PATH.matcher(exchange.getRequestURI().getPath());
        if (!path.matches())
            return Answer.error(404, "only /baton/v1/lifecycle and /baton/v1/lifecycle/N are here");
        if (!allowed(exchange.getRequestHeaders().getFirst("Authorization")))
            return Answer.error(401, "the bearer token of baton.token-file is wanted");
        int number = path.group(1) == null ? 0 : Integer.parseInt(path.group(1));
        Gate gate = gates.get(number);
        if (gate == null)
            return Answer.error(404, "no consumer number " + number + " has subscribed yet");
        return switch (exchange.getRequestMethod()) {
            case "GET" -> new Answer(200, gate.document());
            case "PUT" -> put(gate, body);
            default -> Answer.error(405, "GET or PUT is wanted");
        };
    }

    private Answer put(Gate gate, byte[] body) {
        if (body.length > BODY_MAX)
            return Answer.error(400, "the document has more than " + BODY_MAX + " bytes");
        try {
            Told told = Told.read(body);
            String refusal = gate.put(told);
            if (refusal != null)
                return Answer.error(409, refusal);
            gate.awaitTurn(told.revision(), turnMax);
            return new Answer(200, gate.document());
        } catch (Told.NotUnderstood e) {
            return Answer.error(400, e.getMessage());
        }
    }

    private boolean allowed(String authorization) {
        if (properties.tokenFile() == null)
            return true;
        byte[] wanted = ("Bearer " + token()).getBytes(StandardCharsets.UTF_8);
        return authorization != null && MessageDigest.isEqual(wanted, authorization.getBytes(StandardCharsets.UTF_8));
    }

    private String token() {
        try {
            String token = Files.readString(properties.tokenFile()).strip();
            if (token.isEmpty())
                throw new IllegalStateException("baton.token-file " + properties.tokenFile() + " is empty");
            return token;
        } catch (IOException e) {
            throw new UncheckedIOException("baton.token-file " + properties.tokenFile() + " cannot be read", e);
        }
    }
}
