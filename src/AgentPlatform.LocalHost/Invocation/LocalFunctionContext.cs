using System.Diagnostics;

namespace AgentPlatform.LocalHost.Invocation;

internal sealed class LocalFunctionContext(
    LocalFunction function, TriggerData data, string invocationId, IServiceProvider services, CancellationToken ct) : FunctionContext
{
    public override string InvocationId => invocationId;

    public override string FunctionId => function.Id;

    public override TraceContext TraceContext { get; } = new Trace(Activity.Current?.Id ?? "", Activity.Current?.TraceStateString ?? "");

    public override BindingContext BindingContext { get; } = new Binding(data.Named);

    public override IServiceProvider InstanceServices { get; set; } = services;

    public override FunctionDefinition FunctionDefinition => function;

    public override IDictionary<object, object> Items { get; set; } = new Dictionary<object, object>();

    public override CancellationToken CancellationToken => ct;

    internal LocalFunction Function => function;

    internal TriggerData Data => data;

    internal ResultSlot Result { get; } = new();

    private sealed class Trace(string parent, string state) : TraceContext
    {
        public override string TraceParent => parent;

        public override string TraceState => state;
    }

    private sealed class Binding(IReadOnlyDictionary<string, object?> named) : BindingContext
    {
        public override IReadOnlyDictionary<string, object?> BindingData => named;
    }
}

/// <summary>Holds what a function returned while middleware unwinds.</summary>
internal sealed class ResultSlot
{
    internal object? Value { get; set; }
}
