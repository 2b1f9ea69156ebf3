package io.baton.spring;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Set;
import java.util.concurrent.CompletableFuture;

import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The document over HTTP: what is answered, and what is refused. */
class LifecycleServerTest {

    private final Rig rig = new Rig();
    private final HttpClient client = HttpClient.newHttpClient();
    private LifecycleServer server;
    private String token = "";

    private void serve(Path tokenFile) {
        serve(tokenFile, Duration.ofMillis(1));
    }

    private void serve(Path tokenFile, Duration turnMax) {
        server = new LifecycleServer(new BatonProperties(true, "127.0.0.1", 0, tokenFile, Set.of()), rig.gates, turnMax);
        server.start();
    }

    @AfterEach
    void stop() {
        if (server != null)
            server.stop();
    }

    private HttpResponse<String> ask(String method, String path, String body) throws Exception {
        return client.send(request(method, path, body), BodyHandlers.ofString());
    }

    private HttpRequest request(String method, String path, String body) {
        HttpRequest.Builder request = HttpRequest.newBuilder(URI.create("http://127.0.0.1:" + server.port() + path))
                .method(method, body == null ? BodyPublishers.noBody() : BodyPublishers.ofString(body));
        if (!token.isEmpty())
            request.header("Authorization", token);
        return request.build();
    }

    @Test
    void aDocumentIsGivenAndAWordIsTaken() throws Exception {
        serve(null);
        rig.assign(0);
        HttpResponse<String> answer = ask("GET", "/baton/v1/lifecycle", null);
        assertThat(answer.statusCode()).isEqualTo(200);
        assertThat(answer.headers().firstValue("Content-Type")).contains("application/json");
        assertThat(answer.body()).startsWith("{\"lifecycle\":1,\"instance\":\"" + rig.gate.instance + "\"")
                .contains("\"group\":\"dummy.group.id\"", "\"joined\":true", "\"desired\":null", "\"committed_ago_ms\":null",
                        "\"state\":\"held\"", "\"position\":null");
        rig.ready(0, 17, 5);
        answer = ask("PUT", "/baton/v1/lifecycle/0", rig.body(1));
        assertThat(answer.statusCode()).isEqualTo(200);
        assertThat(answer.body()).contains("\"revision\":1,\"term\":5,\"epoch\":9", "\"observed\":{\"revision\":0");
        rig.poll();
        assertThat(ask("GET", "/baton/v1/lifecycle", null).body()).contains("\"observed\":{\"revision\":1", "\"state\":\"ready\"");
        assertThat(ask("PUT", "/baton/v1/lifecycle", rig.body(1).replace("agent-one", "another")).statusCode()).isEqualTo(409);
    }

    /** The PUT waits until the consumer comes round: the agent need not look again. */
    @Test
    void aWordIsAnsweredByWhatBecameOfIt() throws Exception {
        serve(null, Duration.ofSeconds(30));
        rig.assign(0);
        HttpRequest request = request("PUT", "/baton/v1/lifecycle", rig.ready(0, 17, 5).body(1));
        CompletableFuture<HttpResponse<String>> answer = client.sendAsync(request, BodyHandlers.ofString());
        while (!answer.isDone())
            rig.poll();
        assertThat(answer.get().body()).contains("\"observed\":{\"revision\":1", "\"state\":\"ready\"");
        rig.leave = true; // a turn that ends the consumer's membership is a turn, too
        answer = client.sendAsync(request("PUT", "/baton/v1/lifecycle", rig.body(2)), BodyHandlers.ofString());
        while (!answer.isDone())
            rig.poll();
        assertThat(answer.get().body()).contains("\"observed\":{\"revision\":2", "\"left\":true");
    }

    @Test
    void whatIsWrongIsToldWithItsPlace() throws Exception {
        serve(null);
        rig.assign(0);
        String good = rig.ready(0, 17, 5).body(1);
        String[][] wrong = {
            { "", "the document: an object is wanted" }, { "[]", "the document: an object is wanted" }, { good.substring(0, 200), "this is no JSON" },
            { good + "1", "something follows" }, { good.replace("\"lifecycle\":1", "\"lifecycle\":2"), "lifecycle: the number 1" },
            { good.replace("\"revision\":1", "\"revision\":\"1\""), "revision: a number from 1" },
            { good.replace("\"revision\":1", "\"revision\":1,\"revision\":2"), "this is no JSON" },
            { good.replace("\"leave\":false", "\"leave\":0"), "leave: true or false" },
            { good.replace("\"from\":5", "\"from\":-5"), "partitions[0].from: a number from 0" },
            { good.replace("\"from\":5", "\"from\":99999999999999999999"), "this is no JSON" },
            { good.replace("\"ready\"", "\"steady\""), "partitions[0].state" },
            { good.replace("\"ready\"", "\"jump\""), "hold, ready or run is wanted, not 'jump'" },
            { good.replace("\"partitions\":[", "\"partitions\":[7,"), "partitions[0]: an object" },
        };
        for (String[] each : wrong) {
            HttpResponse<String> answer = ask("PUT", "/baton/v1/lifecycle", each[0]);
            assertThat(answer.statusCode()).as(each[0]).isEqualTo(400);
            assertThat(answer.body()).contains(each[1]);
        }
        assertThat(ask("PUT", "/baton/v1/lifecycle", " ".repeat(4 * 1024 * 1024 + 1)).statusCode()).isEqualTo(400);
        assertThat(ask("GET", "/baton/v1/lifecycle", null).body()).contains("\"desired\":null");
    }

    @Test
    void otherPathsConsumersAndMethodsAreNotThere() throws Exception {
        serve(null);
        assertThat(ask("GET", "/", null).statusCode()).isEqualTo(404);
        assertThat(ask("GET", "/baton/v1/lifecycle/1", null).body()).contains("no consumer number 1 has subscribed yet");
        assertThat(ask("GET", "/baton/v1/lifecycle/x", null).statusCode()).isEqualTo(404);
        assertThat(ask("DELETE", "/baton/v1/lifecycle", null).statusCode()).isEqualTo(405);
    }

    @Test
    void theTokenIsWantedAndReadAnew(@TempDir Path folder) throws Exception {
        Path file = Files.writeString(folder.resolve("token"), "first\n");
        serve(file);
        assertThat(ask("GET", "/baton/v1/lifecycle", null).statusCode()).isEqualTo(401);
        token = "Bearer second";
        assertThat(ask("GET", "/baton/v1/lifecycle", null).body()).doesNotContain("first").contains("baton.token-file");
        Files.writeString(file, "second\n");
        assertThat(ask("GET", "/baton/v1/lifecycle", null).statusCode()).isEqualTo(200);
        Files.delete(file);
        assertThat(ask("GET", "/baton/v1/lifecycle", null).statusCode()).isEqualTo(500);
    }

    @Test
    void aPortThatIsTakenIsSaid() {
        serve(null);
        LifecycleServer second = new LifecycleServer(new BatonProperties(true, "127.0.0.1", server.port(), null, Set.of()), rig.gates);
        assertThatThrownBy(second::start).hasMessageContaining("set baton.port");
    }
}
