using System.ComponentModel;
using System.Globalization;

namespace AgentPlatform.LocalHost.Invocation;

/// <summary>Turns named text (route and query values, message properties) into a parameter's type.</summary>
internal static class TextValue
{
    internal static bool CanRead(Type type) =>
        type == typeof(string) || TypeDescriptor.GetConverter(Nullable.GetUnderlyingType(type) ?? type).CanConvertFrom(typeof(string));

    /// <summary>The value, or null when it is absent and the type allows that.</summary>
    /// <exception cref="BindingException">It is absent and the type has no null, or its text does not fit.</exception>
    internal static object? Read(string name, object? value, Type type)
    {
        var target = Nullable.GetUnderlyingType(type) ?? type;
        if (value is null)
        {
            return target.IsValueType && target == type ? throw new BindingException($"'{name}' is missing.") : null;
        }

        if (target.IsInstanceOfType(value))
        {
            return value;
        }

        var text = Convert.ToString(value, CultureInfo.InvariantCulture) ?? "";
        try
        {
            return TypeDescriptor.GetConverter(target).ConvertFromInvariantString(text);
        }
        catch (Exception e) when (e is FormatException or ArgumentException or NotSupportedException or OverflowException)
        {
            throw new BindingException($"'{name}' does not fit {target.Name}.");
        }
    }
}

/// <summary>A trigger's data does not fit a parameter of the function.</summary>
internal sealed class BindingException(string message) : Exception(message);
