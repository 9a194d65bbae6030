using System.Reflection;
using AgentPlatform.LocalHost.Invocation;

namespace AgentPlatform.LocalHost.Timers;

internal sealed class TimerTriggerKind : ITriggerKind
{
    public string Name => "timerTrigger";

    public Type Attribute => typeof(TimerTriggerAttribute);

    public ParameterReader? BindTrigger(ParameterInfo parameter) =>
        parameter.ParameterType == typeof(TimerInfo) ? static (data, _) => data.Source : null;

    public ParameterReader? BindOther(ParameterInfo parameter) => null;

    public TriggerData ByHand(string input, DateTimeOffset now) => new(new TimerInfo(), new Dictionary<string, object?>());
}
