package io.baton.spring;

import java.nio.file.Path;
import java.util.Set;

import org.springframework.boot.context.properties.ConfigurationProperties;
import org.springframework.boot.context.properties.bind.DefaultValue;

/**
 * What can be said of Baton in an application's configuration.
 *
 * @param enabled whether consumers get a Gate; if not, nothing of the application is touched
 * @param address where the lifecycle document is served; whoever can reach it can stop the application
 * @param port port of the lifecycle document; 0 takes any free one, and the log says which
 * @param tokenFile file with the bearer token that the agent sends (its --application-token-file); read anew at each request
 * @param groups consumer groups that get a Gate; none named means all that subscribe
 */
@ConfigurationProperties("baton")
public record BatonProperties(@DefaultValue("true") boolean enabled, @DefaultValue("127.0.0.1") String address,
        @DefaultValue("8081") int port, Path tokenFile, @DefaultValue Set<String> groups) {

    boolean covers(String group) {
        return groups.isEmpty() || groups.contains(group);
    }
}
