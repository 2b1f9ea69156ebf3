package io.baton.spring;

import java.util.LinkedHashMap;
import java.util.Map;

/** What health and meters tell of all gates. */
final class Census {

    private final Gates gates;

    Census(Gates gates) {
        this.gates = gates;
    }

    long partitions(Valve.State state) {
        return gates.all().stream().flatMap(gate -> gate.observed().parts().stream())
                .filter(part -> part.assigned() && part.state() == state).count();
    }

    long inFlight() {
        return gates.all().stream().flatMap(gate -> gate.observed().parts().stream()).mapToLong(Observed.Part::inFlight).sum();
    }

    long done() {
        return gates.all().stream().mapToLong(gate -> gate.observed().done()).sum();
    }

    boolean fenced() {
        return gates.all().stream().flatMap(gate -> gate.observed().parts().stream())
                .anyMatch(part -> part.assigned() && part.fenced());
    }

    Map<String, Object> details() {
        Map<String, Object> details = new LinkedHashMap<>();
        details.put("consumers", gates.all().size());
        for (Valve.State state : Valve.State.values())
            details.put(state.toString(), partitions(state));
        details.put("inFlight", inFlight());
        return details;
    }
}
