using System.Diagnostics.CodeAnalysis;

namespace AgentPlatform.Kernel;

/// <summary>An expected outcome: a value, or the <see cref="Kernel.Problem"/> that stands for it at the edge.</summary>
public readonly record struct Result<T>
{
    private readonly T? _value;

    private Result(T? value, Problem? problem)
    {
        _value = value;
        Problem = problem;
    }

    public Problem? Problem { get; }

    [MemberNotNullWhen(false, nameof(Problem))]
    public bool IsOk => Problem is null;

    /// <summary>The value; asking a failed result for it is a bug.</summary>
    public T Value => IsOk ? _value! : throw new InvalidOperationException($"No value: {Problem.Code}.");

    public static implicit operator Result<T>(T value) => new(value, null);

    public static implicit operator Result<T>(Problem problem) => new(default, problem);

    public TOut Match<TOut>(Func<T, TOut> ok, Func<Problem, TOut> failed) => IsOk ? ok(_value!) : failed(Problem);

    public Result<TOut> Map<TOut>(Func<T, TOut> map) => IsOk ? map(_value!) : Problem;
}
